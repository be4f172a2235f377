"""Decides when an endpoint cannot be used, and then lets a client send no other request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from manifests.errors import CurateError, EndpointError
from manifests.step import RequestStep

REFUSED = 16
"""The run stops if no request has had a reply after so many refusals, answers without a reply, and
requests that failed at all attempts. Then the requests or the endpoint are wrong (our choice)."""
_CHECK = "Check the endpoint and the settings of the step."
_RUN_AGAIN = "Then run the same command again: all replies so far are in the journal."


class Stopping:
    """Whether a client is stopped, and the error that stopped it. `place` names the step in errors,
    and `wake` is called when the client is stopped. All methods may be called in several threads.
    """

    def __init__(self, step: RequestStep, place: str, wake: Callable[[], None]) -> None:
        self._step, self._place, self._wake = step, place, wake
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._error: CurateError | None = None
        self._refused = 0
        self._has_found = False
        self._failing_since: float | None = None
        self.has_reply = False
        """Whether the endpoint has sent a reply."""

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    @property
    def error(self) -> CurateError:
        assert self._error is not None
        return self._error

    def replied(self) -> None:
        """Records that the endpoint has sent a reply."""
        with self._lock:
            self._failing_since, self.has_reply = None, True

    def found(self) -> None:
        """Records that the journal has a reply, which shows that the endpoint once accepted a
        request."""
        self._has_found = True

    def refused(self) -> None:
        """Records that the endpoint refused a request. An endpoint that refuses requests is not out
        of service."""
        with self._lock:
            self._failing_since = None

    def has_refused_all(self) -> bool:
        """Counts one more request without a reply. Returns whether there are now at least
        `REFUSED` such requests, and no other request has a reply, neither from the endpoint nor
        from the journal."""
        with self._lock:
            self._refused += 1
            return self._refused >= REFUSED and not (self.has_reply or self._has_found)

    def failed(self, fault: Exception) -> None:
        """Records that an attempt failed. Raises EndpointError if all attempts have failed for more
        than `max_outage_seconds`."""
        now = time.monotonic()
        with self._lock:
            if self._failing_since is None:
                self._failing_since = now
            since = self._failing_since
        if now - since > self._step.max_outage_seconds:
            raise self.unusable(f"it has given no reply for {now - since:.0f} seconds ({fault})")

    def unusable(self, fault: str, advice: str = _CHECK) -> CurateError:
        """Stop the client because the endpoint cannot be used. Returns the error that stopped
        it."""
        variable = self._step.api_key_variable
        check = f" Check the environment variable {variable}." if variable else ""
        fix = f"{advice}{check} {_RUN_AGAIN}"
        return self.stop(EndpointError(f"the endpoint cannot be used: {fault}.", self._place, fix))

    def stop(self, error: CurateError) -> CurateError:
        """Stop the client. Returns the first error that stopped it."""
        with self._lock:
            self._error = self._error or error
            self._stopped.set()
        self._wake()
        return self._error

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds, or until the client is stopped."""
        self._stopped.wait(min(seconds, threading.TIMEOUT_MAX))
