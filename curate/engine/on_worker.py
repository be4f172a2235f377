"""The code that runs in the processes of Ray: functions for tasks, and an actor that loads what it
needs, such as a model, once and then processes many items."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from curate.engine import time_limit
from manifests.step import Opened

T = TypeVar("T")
R = TypeVar("R")


class Again:
    """Returned in place of a result if the item is to be processed again. An earlier worker ended
    while it worked on the item, and a file on disk names the rows at which it ended. Such an end is
    not one of the ends after which a run gives up."""


def run_item(work: Callable[[T], R], item: T) -> R | Again:
    """Process an item with a function that needs no setup."""
    with time_limit.supervised(repeats=True):
        try:
            return work(item)
        except time_limit.NotedError:
            return Again()


class Holder:
    """An actor that processes items with `work`. It opens `work` (for example, loads a model) for
    its first item, and keeps it open."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._call: Callable[[Any], Any] | None = None

    def call(self, work: Opened[Any, Any], item: Any) -> Any:
        """Process an item. The first call opens `work`, so it raises the error if `work` cannot be
        opened."""
        if self._call is None:
            self._call = self._stack.enter_context(work.open())
        return run_item(self._call, item)

    def close(self) -> None:
        """Free what was opened for the first item, such as models; nothing if there was no item."""
        self._stack.close()
