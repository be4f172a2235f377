"""Finds how many requests an endpoint answers at once.

It starts with a few requests, and doubles them until the endpoint is busy: this number is
remembered as the ceiling. It then takes a share away (multiplicative decrease), adds one request
after another up to the ceiling (additive increase), and stays below it. Now and then it tries one
request more; if the endpoint takes it, the next try comes sooner.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

START = 4
"""Requests in flight at the start (our choice)."""
DECREASE = 0.7
"""The share of the requests in flight that remains when the endpoint is busy (our choice)."""
PROBE_AFTER = 64
"""Replies for each request in flight until one request more is tried; half as many after each try
that succeeded (our choice)."""


class Limiter:
    """Limits the requests in flight of all threads. There are never more than `cap`."""

    def __init__(self, cap: int) -> None:
        self._cap, self._limit, self._ceiling = cap, float(min(START, cap)), cap + 1
        self._is_starting, self._has_tried = True, False
        self._probe_after = PROBE_AFTER
        self._in_flight = self._replies = 0
        self._resumes = self._decreased = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        return int(self._limit)

    def acquire(self, stopped: Callable[[], bool]) -> float | None:
        """Wait until a request may be sent. Returns the time, for the method `busy`; None if
        `stopped()` became true instead."""
        with self._changed:
            while not stopped():
                now = time.monotonic()
                pause = self._resumes - now
                if pause <= 0 and self._in_flight < int(self._limit):
                    self._in_flight += 1
                    return now
                self._changed.wait(min(pause, 1.0) if pause > 0 else 1.0)
            return None

    def release(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify()

    def answered(self) -> None:
        """Count a reply of the endpoint, which may raise the limit."""
        with self._changed:
            self._replies += 1
            below = min(self._cap, self._ceiling - 1)
            if self._is_starting:
                self._limit = min(self._cap, self._limit + 1)  # doubles with each round
            elif self._limit < below:
                self._limit, self._replies = min(below, self._limit + 1 / self._limit), 0
            elif self._replies >= self._probe_after * self._limit and self._limit < self._cap:
                if self._has_tried:
                    self._probe_after = max(1, self._probe_after // 2)
                self._has_tried, self._replies = True, 0
                self._limit, self._ceiling = float(self._ceiling), self._ceiling + 1
            self._changed.notify()

    def busy(self, sent: float) -> None:
        """Lower the limit, because the endpoint was too busy for a request that was sent at the
        time `sent`. Of the requests that were in flight together, only one lowers it."""
        with self._changed:
            if sent < self._decreased:
                return
            self._decreased, self._replies = time.monotonic(), 0
            self._ceiling = max(2, int(self._limit))
            lower = self._limit - 1 if self._has_tried else self._limit * DECREASE
            self._limit, self._probe_after = max(1.0, lower), PROBE_AFTER
            self._is_starting = self._has_tried = False

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds, because the endpoint asked for it."""
        with self._changed:
            self._resumes = max(self._resumes, time.monotonic() + seconds)

    def wake(self) -> None:
        """Let all threads that wait in `acquire` look whether they are to stop."""
        with self._changed:
            self._changed.notify_all()
