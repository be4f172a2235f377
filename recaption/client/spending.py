"""Counts what the requests of a step cost, and stops them when the budget of the step is used up.

The counts start with the entries of the journal that the same run has paid for. So the budget
limits what all runs into an output folder spend together, and a killed process loses no count.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from manifests import storage
from manifests.run.bill import Bill, money_text
from manifests.run.payer import Payer, load_bill, save_bill
from manifests.step import Budget, Reply, RequestStep
from recaption.client.counting import TokenCounter

SAVE_SECONDS, REMOTE_SAVE_SECONDS = 1.0, 5.0
"""Seconds between two writes of the file with the bill, on a local disk and on object storage (our
choice)."""
RATE_SECONDS = 60.0
"""The time over which the tokens per second are averaged (our choice)."""


class Spending:
    """The bill and the budget of a request step. All methods may be called in several threads."""

    def __init__(self, step: RequestStep, payer: Payer) -> None:
        self._step, self._payer, self._prices = step, payer, step.prices
        self._budget = step.budget or Budget()
        self._changed = threading.Condition()
        self._in_flight = 0
        self._bill = Bill(step=payer.step, currency=step.prices.currency if step.prices else "")
        self._stored = load_bill(payer.bill, payer.step) if payer.run else self._bill
        self._bill.found = self._stored.found
        self._recent: deque[tuple[int, int]] = deque()
        self._started = self._written = time.monotonic()
        self._saving = threading.Lock()
        self._saved = Bill(step="")

    def add_earlier(self, entry: Mapping[str, Any]) -> None:
        """Count an entry that was in the journal when it was opened, if the same run and step paid
        for it."""
        if self._payer.run and (entry.get("run"), entry.get("step")) == self._payer[:2]:
            self._count(self._bill, entry)

    def begin(self) -> None:
        """Continues from the stored bill if it has more replies of this run than the journal. This
        happens if the run now uses another journal, or if files of the journal were deleted."""
        stored = self._stored
        if stored.requests <= self._bill.requests:
            return
        money = stored.money
        if self._prices and stored.currency != self._prices.currency:
            money = self._prices.money(stored.requests, stored.input_tokens, stored.output_tokens)
        self._bill = stored.model_copy(update={"currency": self._bill.currency, "money": money})

    @contextlib.contextmanager
    def slot(self, is_stopped: Callable[[], bool]) -> Iterator[tuple[str, str] | None]:
        """Waits as long as the requests in flight might use up the budget. Then counts one more
        request as in flight during the `with` block. The `with` block gets None if it may send the
        request. If the budget is used up, it gets the name of the budget and an error message."""
        with self._changed:
            fault = self.used_up()
            while fault is None and not is_stopped() and self._is_reserved():
                self._changed.wait(1.0)
                fault = self.used_up()
            self._in_flight += 1
        try:
            yield fault
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def entry(self, reply: Reply, body: bytes) -> dict[str, Any]:
        """Returns the fields of a journal entry about the cost of a reply. `body` is the body of
        the request. Tokens that the endpoint does not state are counted."""
        read, written = reply.input_tokens, reply.output_tokens
        cost: dict[str, Any] = {"run": self._payer.run, "step": self._payer.step}
        if read is None or written is None:
            cost["counted_by"] = self._counter.name
            read = self._counter.body(body) if read is None else read
            written = self._counter.text(reply.text) if written is None else written
        cost |= {"input_tokens": read, "output_tokens": written}
        if self._prices:
            money = self._prices.money(1, read, written)
            cost |= {"money": money, "currency": self._prices.currency}
        return cost

    def paid(self, entry: Mapping[str, Any]) -> None:
        """Count a reply that was written to the journal now."""
        with self._changed:
            self._count(self._bill, entry)
            self._note_rate(_tokens(entry))
        self.save(SAVE_SECONDS)

    def found(self, entry: Mapping[str, Any]) -> None:
        """Count a reply that was found in the journal."""
        with self._changed:
            self._bill.found += 1
            self._count(self._saved, entry)
        self.save(SAVE_SECONDS)

    def saved(self) -> dict[str, Any]:
        """Returns the fields of a journal entry about the cost of the replies that were found in
        the journal since the last call, and so were not paid for again."""
        with self._changed:
            cost, self._saved = self._saved, Bill(step="")
        saved: dict[str, Any] = {"run": self._payer.run, "step": self._payer.step}
        saved["saved_input_tokens"] = cost.input_tokens
        saved["saved_output_tokens"] = cost.output_tokens
        if self._prices:
            saved |= {"saved_money": cost.money, "currency": self._prices.currency}
        return saved

    def save(self, after_seconds: float = 0.0) -> None:
        """Write the bill to its file, unless it was written less than `after_seconds` ago."""
        if not self._payer.run or not self._saving.acquire(blocking=not after_seconds):
            return
        try:
            if after_seconds and storage.is_remote(self._payer.bill):
                after_seconds = REMOTE_SAVE_SECONDS
            if time.monotonic() - self._written < after_seconds:
                return
            with self._changed:
                self._bill.tokens_per_second = self._rate()
                bill = self._bill.model_copy()
            save_bill(bill, self._payer.bill)
            self._written = time.monotonic()
        finally:
            self._saving.release()

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter(self._step.model)

    def _is_reserved(self) -> bool:
        """Returns whether the requests in flight may use up the budget for requests."""
        most = self._budget.requests
        return most is not None and self._bill.requests + self._in_flight >= most

    def used_up(self) -> tuple[str, str] | None:
        """Returns the name of the budget that is used up and an error message; None if no budget is
        used up."""
        budget, bill = self._budget, self._bill
        spent = {
            "requests": bill.requests,
            "tokens": bill.input_tokens + bill.output_tokens,
            "money": bill.money,
        }
        for name, amount in spent.items():
            most = getattr(budget, name)
            if most is not None and amount >= most:
                limit = money_text(most, bill.currency) if name == "money" else f"{most:,} {name}"
                return name, f"the budget of {limit} is used up: {bill.spent} so far"
        return None

    def _count(self, bill: Bill, entry: Mapping[str, Any]) -> None:
        read, written = entry.get("input_tokens") or 0, entry.get("output_tokens") or 0
        bill.requests += 1
        bill.input_tokens += read
        bill.output_tokens += written
        bill.counted += "counted_by" in entry
        bill.money += self._money(entry)

    def _money(self, entry: Mapping[str, Any]) -> float:
        """Returns what an entry cost: the amount that the entry states. If it states no amount in
        the currency of the present prices, the cost is computed from these prices."""
        if self._prices is None:
            return 0.0
        if entry.get("currency") == self._prices.currency:
            return float(entry["money"])
        read, written = entry.get("input_tokens") or 0, entry.get("output_tokens") or 0
        return self._prices.money(1, read, written)

    def _note_rate(self, tokens: int) -> None:
        """Add tokens to the count of the present second."""
        second, before = int(time.monotonic()), 0
        if self._recent and self._recent[-1][0] == second:
            before = self._recent.pop()[1]
        self._recent.append((second, before + tokens))

    def _rate(self) -> float:
        """Returns the mean number of tokens per second over the last `RATE_SECONDS` seconds."""
        now = time.monotonic()
        while self._recent and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        seconds = min(RATE_SECONDS, max(now - self._started, 1e-3))
        return sum(tokens for _, tokens in self._recent) / seconds


def _tokens(entry: Mapping[str, Any]) -> int:
    return (entry.get("input_tokens") or 0) + (entry.get("output_tokens") or 0)
