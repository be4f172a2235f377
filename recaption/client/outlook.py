"""What a request would cost, seen from the journal: whether its reply is there, how many tokens it
has, and how long replies to such requests were before."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from manifests import storage
from manifests.media import Media
from manifests.step import Prices, Reply, Request, RequestStep
from recaption.client.answers import reply_of
from recaption.client.client import MAX_REPLIES
from recaption.client.counting import TokenCounter
from recaption.client.images import sent_size, upright_size
from recaption.client.journal import Journal
from recaption.client.prepared import Prepared, prepared

SAMPLE, SAME_RECORDS, SAME_PROMPT = "sample", "same records", "same prompt"
"""The replies from which an estimate is made: to a sample of the requests, to other requests about
the same records, or to any requests with the same prompt."""

Fault = Callable[[Request, Reply], str | None]


class Paid(NamedTuple):
    """What was paid for a request: the number of its replies, the tokens and the seconds of all
    together. `counted` are the tokens of one request as they are counted here."""

    replies: int
    input_tokens: int
    output_tokens: int
    seconds: float
    counted: int


class Look(NamedTuple):
    """A request and what the journal has about it. `key` is that of the first reply. `tokens` are
    counted here. `paid` is None if the request is to be asked, for the first time or again."""

    key: bytes
    tokens: int
    paid: Paid | None


@dataclass
class History:
    """The sums of all replies of a journal to one prompt of one model."""

    replies: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    squares: float = 0.0
    seconds: float = 0.0


class Outlook:
    """Looks at requests of a step. `base` is the folder of relative paths in its settings, and
    `fault` is the step's method. The journal is read once, and not written."""

    def __init__(self, step: RequestStep, base: str) -> None:
        self._step, self.counter = step, TokenCounter(step.model)
        self.history: dict[str, History] = defaultdict(History)
        self._journal = Journal(storage.resolve(base, step.journal), self._add_to_history)

    def look(self, request: Request, media: Media) -> Look:
        """Look at a request. Raises MediaError if an image cannot be read."""
        most = self._step.max_pixels
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
            of_prompt.input_tokens += entry.get("input_tokens") or 0
            of_prompt.output_tokens += written or 0
            of_prompt.squares += (written or 0) ** 2
            of_prompt.seconds += entry.get("seconds") or 0.0


class Estimate(NamedTuple):
    """What requests will cost. `per_request` is the mean of the output tokens, and `spread` their
    standard deviation. `money` is within `money_error` of the truth in 95 of 100 cases, if the
    requests that the estimate is made from are like the others; nan if that is not known. `replies`
    is the number of those, and `source` is SAMPLE, SAME_RECORDS or SAME_PROMPT."""

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
    """Returns the estimate of `requests` requests with `tokens` counted tokens, from what others
    cost. What the endpoint counts on top, such as a chat template, is taken from them."""
    n = len(paid)
    replies = sum(one.replies for one in paid) / n
    on_top = sum(one.input_tokens / one.replies - one.counted for one in paid) / n
    per_request, spread = _mean_and_spread(one.output_tokens for one in paid)
    read, written = replies * (tokens + requests * on_top), requests * per_request
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
        1.96 * of_money / math.sqrt(n) * requests if n > 1 else math.nan,
        requests * sum(one.seconds for one in paid) / n,
    )


def from_history(
    known: Iterable[History], requests: int, tokens: int, prices: Prices
) -> Estimate | None:
    """Returns the estimate from the replies to the same prompts in the journal; None if it has
    none. Bad replies that are asked for again are not foreseen."""
    found = list(known)
    n = sum(one.replies for one in found)
    if not n:
        return None
    per_request = sum(one.output_tokens for one in found) / n
    spread = math.sqrt(max(sum(one.squares for one in found) / n - per_request**2, 0.0))
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
        prices.money(0, 0, 1.96 * spread / math.sqrt(n) * requests),
        requests * sum(one.seconds for one in found) / n,
    )


def _mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Returns the mean and the standard deviation (n - 1); nan for the latter if n is 1."""
    found = list(values)
    mean = sum(found) / len(found)
    squares = sum((one - mean) ** 2 for one in found)
    return mean, math.sqrt(squares / (len(found) - 1)) if len(found) > 1 else math.nan
