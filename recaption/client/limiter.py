"""Limits how many requests all threads of a process have in flight together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from recaption.client.level import Level, Sent


class Limiter:
    """Lets threads send requests up to a limit, which adapts to how many requests the endpoint
    answers well. The limit is at most `cap`."""

    def __init__(self, cap: int) -> None:
        self._level, self._in_flight, self._resumes = Level(cap), 0, 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        return int(self._level.limit)

    def acquire(self, stopped: Callable[[], bool]) -> Sent | None:
        """Wait until a request may be sent. Returns a value that the other methods need for this
        request, or None if `stopped()` became true."""
        with self._changed:
            while not stopped():
                now = time.monotonic()
                pause = self._resumes - now
                if pause <= 0 and self._in_flight < self.limit:
                    self._in_flight += 1
                    return self._level.sent(self._in_flight, now)
                self._changed.wait(min(pause, 1.0) if pause > 0 else 1.0)
            return None

    def release(self, sent: Sent) -> None:
        """Counts the end of a request. If `answered` or `busy` must be called for the request, call
        it before `release`."""
        with self._changed:
            self._in_flight -= 1
            self._level.ended(sent)
            self._notify()

    def answered(self, sent: Sent, tokens: int) -> None:
        """Counts a reply with `tokens` tokens. The limit may change."""
        with self._changed:
            self._level.answered(sent, time.monotonic(), tokens)

    def busy(self, sent: Sent) -> None:
        """Lower the limit, because the endpoint was too busy for a request."""
        with self._changed:
            self._level.busy(sent, time.monotonic())

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds, because the endpoint asked for it."""
        with self._changed:
            self._resumes = max(self._resumes, time.monotonic() + seconds)

    def wake(self) -> None:
        """Let all threads that wait in `acquire` check whether they must stop."""
        with self._changed:
            self._changed.notify_all()

    def _notify(self) -> None:
        self._changed.notify(max(0, self.limit - self._in_flight))
