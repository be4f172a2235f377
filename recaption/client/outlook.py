"""Estimates what requests would cost: from the replies that the journal already has, the number of
tokens in the requests, and the length of earlier replies to similar requests."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from manifests import storage
from manifests.media import Media
from manifests.step import Prices, Request, RequestStep
from recaption.client.answers import reply_of
from recaption.client.client import MAX_REPLIES
from recaption.client.counting import TokenCounter
from recaption.client.images import sent_size, upright_size
from recaption.client.journal import Journal
from recaption.client.prepared import Prepared, prepared

SAMPLE, SAME_RECORDS, SAME_PROMPT = "sample", "same records", "same prompt"
"""Where an estimate comes from: replies to a sample of the requests, to other requests about the
same records, or to any requests with the same prompt."""
NORMAL_95 = 1.96
"""The quantile of the normal distribution for an interval of 95 %, in standard errors."""


class Paid(NamedTuple):
    """What was paid for a request: the number of its replies, and their tokens and seconds
    together. `counted` is the number of tokens of the request by `TokenCounter`."""

    replies: int
    input_tokens: int
    output_tokens: int
    seconds: float
    counted: int


class Look(NamedTuple):
    """What is known about a request. `key` is the key of the first reply to it, and `tokens` is the
    number of its tokens by `TokenCounter`. `paid` is None if the model must be asked, for the first
    time or again."""

    key: bytes
    tokens: int
    paid: Paid | None


@dataclass
class History:
    """The totals of all replies by one model to one prompt. `squares` is the total of the squared
    output tokens."""

    replies: int = 0
    output_tokens: int = 0
    squares: float = 0.0
    seconds: float = 0.0


class Outlook:
    """Finds what the journal has about requests of a step, without asking the model. `base` is the
    folder of relative paths in the settings. The journal is read once."""

    def __init__(self, step: RequestStep, base: str) -> None:
        self._step, self.counter = step, TokenCounter(step.model)
        self.history: dict[str, History] = defaultdict(History)
        self._journal = Journal(storage.resolve(base, step.journal), self._add_to_history)

    def look(self, request: Request, media: Media) -> Look:
        """Returns what is known about a request. Raises MediaError if an image cannot be read."""
        most = self._step.image_pixels()
        with contextlib.closing(media.another()) as own:
            first = prepared(self._step, request, 0, own)
            sizes = {r: sent_size(*upright_size(data), most) for r, data in first.files.items()}
            tokens = self.counter.request(request, sizes)
            return Look(first.key, tokens, self._paid(request, first, own, tokens))

    def _paid(self, request: Request, first: Prepared, media: Media, tokens: int) -> Paid | None:
        entries: list[dict[str, Any]] = []
        for bad_before in range(MAX_REPLIES):
            ready = prepared(self._step, request, bad_before, media) if bad_before else first
            entry = self._journal.get(ready.key)
            if entry is None:
                return None
            entries.append(entry)
            if self._step.fault(request, reply_of(entries[-1]["body"])) is None:
                break
        read, written, seconds = (
            sum(entry.get(name) or 0 for entry in entries)
            for name in ("input_tokens", "output_tokens", "seconds")
        )
        return Paid(len(entries), int(read), int(written), seconds, tokens)

    def _add_to_history(self, entry: Mapping[str, Any]) -> None:
        if entry.get("model") == self._step.model:
            of_prompt, written = self.history[entry.get("prompt", "")], entry.get("output_tokens")
            of_prompt.replies += 1
            of_prompt.output_tokens += written or 0
            of_prompt.squares += (written or 0) ** 2
            of_prompt.seconds += entry.get("seconds") or 0.0


class Estimate(NamedTuple):
    """What a number of requests will cost, estimated from `replies` earlier ones. `per_request` and
    `spread` are the mean and the standard deviation of the output tokens of a request. The real
    cost is within `money_error` of `money` in 95 of 100 cases, if the requests are like the earlier
    ones. `money_error` is nan if it cannot be estimated. `source` is SAMPLE, SAME_RECORDS or
    SAME_PROMPT."""

    source: str
    replies: int
    requests: float
    input_tokens: float
    output_tokens: float
    per_request: float
    spread: float
    money: float
    money_error: float
    seconds: float


def from_paid(
    paid: list[Paid], requests: int, tokens: int, prices: Prices, source: str
) -> Estimate:
    """Estimates the cost of `requests` requests from requests that were paid for; `paid` must not
    be empty. `tokens` is the total number of tokens of the `requests` requests by `TokenCounter`.
    The endpoint counted more tokens than `TokenCounter` in the paid requests, for example those of
    a chat template; the estimate adds these tokens."""
    n = len(paid)
    replies = sum(one.replies for one in paid) / n
    on_top = sum(one.input_tokens / one.replies - one.counted for one in paid) / n
    per_request, spread = _mean_and_spread(one.output_tokens for one in paid)
    read = replies * max(0.0, tokens + requests * on_top)
    written = requests * per_request
    _, of_money = _mean_and_spread(
        prices.money(one.replies, one.replies * tokens / requests, one.output_tokens)
        for one in paid
    )
    return Estimate(
        source,
        n,
        requests * replies,
        read,
        written,
        per_request,
        spread,
        prices.money(requests * replies, read, written),
        NORMAL_95 * of_money / math.sqrt(n) * requests if n > 1 else math.nan,
        requests * sum(one.seconds for one in paid) / n,
    )


def from_history(
    known: Iterable[History], requests: int, tokens: int, prices: Prices
) -> Estimate | None:
    """Estimates the cost of requests from all replies in the journal to the same prompts; None if
    the journal has no such reply. The estimate does not include the second requests after bad
    replies."""
    found = list(known)
    n = sum(one.replies for one in found)
    if not n:
        return None
    per_request = sum(one.output_tokens for one in found) / n
    squares = max(0.0, sum(one.squares for one in found) - n * per_request**2)
    spread = math.sqrt(squares / (n - 1)) if n > 1 else math.nan
    written = requests * per_request
    return Estimate(
        SAME_PROMPT,
        n,
        requests,
        tokens,
        written,
        per_request,
        spread,
        prices.money(requests, tokens, written),
        prices.money(0, 0, NORMAL_95 * spread / math.sqrt(n) * requests),
        requests * sum(one.seconds for one in found) / n,
    )


def _mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Returns the mean and the standard deviation (n - 1), which is nan for a single value."""
    found = list(values)
    mean = sum(found) / len(found)
    squares = sum((one - mean) ** 2 for one in found)
    return mean, math.sqrt(squares / (len(found) - 1)) if len(found) > 1 else math.nan
