"""Finds how many requests at once an endpoint answers well, from its replies alone.

The number of requests in flight starts small and doubles as long as a larger number gives more
tokens a second. An endpoint that is overloaded shows it in one of two ways:

* It refuses requests (429, 503) or lets them time out. The number is then reduced by a factor.
  After that, each round of replies halves the distance to a number just below the old one (binary
  increase, as BIC-TCP does; Xu, Harfoush and Rhee 2004).
* It queues requests: the replies take longer, and the tokens a second hardly grow. Of the two
  numbers that were compared, about the smaller one is then used. Tokens are counted, not replies,
  so that long replies are not mistaken for a queue.

The best number may change, so a larger and a smaller one are tried from time to time.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

START = 4
"""Requests in flight at the start (our choice)."""
DOUBLE, TRIAL = 2.0, 1.5
"""The factor between two numbers that are compared: `DOUBLE` at the start, `TRIAL` later (our
choice)."""
GROWTH = 0.15
"""A larger number is used if the tokens a second grow at least by the factor to this power: by 11 %
for twice as many requests (our choice)."""
DECREASE = 0.7
"""The limit is multiplied by this share when the endpoint is busy (our choice)."""
HOLD = 64
"""Another number is tried after so many replies for each request in flight (our choice)."""
COHORT, MAX_COHORTS = 8, 8
"""A number is judged by a cohort of as many requests as are in flight, at least `COHORT`. Further
cohorts follow until the result is certain, at most `MAX_COHORTS` in all (our choice)."""
MISSING = 8
"""A cohort is judged when at most one in so many of its requests is still in flight (our
choice)."""
CERTAIN = 8
"""A comparison is certain if its standard error is at most the logarithm of the factor divided by
this number (our choice)."""
FULL = 0.9
"""A reply counts for the speed at a limit if, when its request was sent, this share of the limit
was in flight (our choice)."""
OVERHEAD_TOKENS = 16
"""Each reply counts as so many tokens more than it has, because it has a fixed cost (our
choice)."""

_Mode = Literal["measure", "start", "up", "down", "recover", "hold"]


class Sent(NamedTuple):
    """When a request was sent, and the number of its cohort: a cohort is a group of requests by
    which a speed is measured. The number is 0 if the request is in no cohort."""

    at: float
    cohort: int


class _Speed:
    """Measures the tokens a second of one request, while `level` requests are in flight."""

    def __init__(self, level: int) -> None:
        self.level, self.replies = level, 0
        self._tokens = self._seconds = 0.0
        self._squares = (0.0, 0.0, 0.0)

    def add(self, tokens: float, seconds: float) -> None:
        self.replies += 1
        self._tokens += tokens
        self._seconds += seconds
        a, b, c = self._squares
        self._squares = a + tokens * tokens, b + tokens * seconds, c + seconds * seconds

    @property
    def rate(self) -> float:
        return self._tokens / self._seconds

    @property
    def error(self) -> float:
        """The square of the relative standard error of `rate`, which is a ratio of two sums."""
        a, b, c = self._squares
        return max(0.0, a - 2 * self.rate * b + self.rate**2 * c) / self._tokens**2


class Level:
    """Adapts `limit`, the number of requests that may be in flight, up to `cap`. All times are
    seconds of the same clock."""

    def __init__(self, cap: int) -> None:
        self._cap, self.limit = cap, float(min(START, cap))
        self._mode: _Mode = "measure"
        self._aim = int(self.limit)
        self._base: _Speed | None = None
        self._replies, self._decreased = 0, -math.inf
        self._number = self._cohort = self._cohorts = 0
        self._measure()

    def sent(self, in_flight: int, now: float) -> Sent:
        """Count a request that is sent now. `in_flight` includes this request."""
        is_full = in_flight >= FULL * int(self.limit)
        if not (self._to_send and is_full and self.limit == self._aim):
            return Sent(now, 0)
        self._to_send -= 1
        self._waiting += 1
        return Sent(now, self._cohort)

    def answered(self, sent: Sent, now: float, tokens: int) -> None:
        """Counts a reply to a request. The method `ended` must be called for this request too."""
        self._replies += 1
        if sent.cohort and sent.cohort == self._cohort:
            self._speed.add(tokens + OVERHEAD_TOKENS, max(now - sent.at, 1e-6))
        if self.limit < self._aim:
            self._approach()
        elif self._mode == "hold" and self._replies >= HOLD * self.limit:
            self._mode = "measure"
            self._measure()

    def ended(self, sent: Sent) -> None:
        """Count the end of a request, with a reply or without one."""
        if sent.cohort != self._cohort or not sent.cohort:
            return
        self._waiting -= 1
        if not self._to_send and self._waiting <= self._size // MISSING:
            self._cohort = 0
            self._judge()

    def busy(self, sent: Sent, now: float) -> None:
        """Lower the limit, because the endpoint was too busy for a request. Of several requests
        that were in flight together, only the first one lowers it."""
        if sent.at <= self._decreased:
            return
        self._decreased = now
        if self._mode == "up" and self._base:
            self._hold(self._base.level)
            return
        self._aim, self._mode = max(1, int(self.limit) - 1), "recover"
        self.limit = min(max(1.0, self.limit * DECREASE), float(self._aim))
        self._replies = self._cohort = self._to_send = 0
        if self.limit == self._aim:
            self._hold(self._aim)

    def _approach(self) -> None:
        """Raise the limit towards the number that is to be tried, by a small share with each reply.
        A round is as many replies as requests are in flight, and `a_round` is how far it raises the
        limit."""
        if self._mode == "start":
            a_round = self.limit  # doubles
        elif self._mode == "up" and self._base:
            a_round = self.limit - self._base.level + 1  # 1, 2, 4: the endpoint may refuse them
        else:
            a_round = max(1.0, (self._aim - self.limit) / 2)
        self.limit = min(float(self._aim), self.limit + a_round / self.limit)
        if self.limit == self._aim:
            if self._mode == "recover":
                self._hold(self._aim)
            else:
                self._measure()

    def _measure(self) -> None:
        """Begin to measure the speed at the present limit."""
        self._speed, self._cohorts = _Speed(int(self.limit)), 0
        self._next_cohort()

    def _next_cohort(self) -> None:
        self._number += 1
        self._cohort, self._cohorts = self._number, self._cohorts + 1
        self._size = self._to_send = max(COHORT, int(self.limit))
        self._waiting = 0

    def _judge(self) -> None:
        """Compares the measured speed with the speed at the previous limit, and chooses which limit
        to try next."""
        now, base = self._speed, self._base
        if not now.replies:
            self._measure()
        elif self._mode == "measure" or base is None:
            self._base = now
            self._try_more("start" if base is None else "up")
        else:
            self._compare(base, now)

    def _compare(self, base: _Speed, now: _Speed) -> None:
        """Decides from two speeds which of their limits is better, and which limit to try next."""
        factor = math.log(now.level / base.level)
        gain = math.log(now.rate / base.rate) + factor
        grows = gain / factor >= GROWTH
        is_certain = base.error + now.error <= (factor / CERTAIN) ** 2
        is_certain = is_certain or (self._mode == "start" and grows)
        if not is_certain and self._cohorts < MAX_COHORTS:
            self._next_cohort()
        elif self._mode == "down":
            if grows:
                self._hold(base.level)
            else:
                self._base = now
                self._try_less()
        elif grows:
            self._base = now
            self._try_more("start")
        else:
            base.level = round(base.level * math.exp(max(0.0, gain)))
            self.limit, self._aim = float(base.level), base.level
            self._try_less()

    def _try_more(self, mode: _Mode) -> None:
        factor = DOUBLE if mode == "start" else TRIAL
        self._aim = min(self._cap, max(int(self.limit) + 1, int(self.limit * factor)))
        self._mode = mode
        if self._aim == self.limit and mode == "start":
            self._hold(self._aim)
        elif self._aim == self.limit:
            self._try_less()

    def _try_less(self) -> None:
        self._aim, self._mode = max(1, int(self.limit / TRIAL)), "down"
        if self._aim == self.limit:
            self._hold(self._aim)
            return
        self.limit = float(self._aim)
        self._measure()

    def _hold(self, level: int) -> None:
        self._aim, self.limit, self._mode = level, float(level), "hold"
        self._replies = self._cohort = self._to_send = 0
