"""Makes SIGTERM end a command as Ctrl-C does. `kill`, batch systems and containers send SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """In a `with` block of this function, SIGTERM raises KeyboardInterrupt in the main thread. A
    handler of the calling program is not replaced."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    with same_sigterm():
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)
        yield


@contextlib.contextmanager
def same_sigterm() -> Iterator[None]:
    """After a `with` block of this function, SIGTERM has the handler that it had before, even if a
    library installs another handler in the block."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
