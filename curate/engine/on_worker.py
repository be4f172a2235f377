"""What runs in the processes of Ray: a task, and an actor that holds opened work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from curate.engine import time_limit
from manifests.step import Opened

T = TypeVar("T")
R = TypeVar("R")


def run_item(work: Callable[[T], R], item: T) -> R:
    """Process an item with work that need not be opened."""
    with time_limit.supervised():
        return work(item)


class Holder:
    """The state of an actor: the work that it opened for its first item."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._call: Callable[[Any], Any] | None = None

    def call(self, work: Opened[Any, Any], item: Any) -> Any:
        """Process an item. The first call opens the work, so an error of opening is raised here."""
        if self._call is None:
            self._call = self._stack.enter_context(work.open())
        with time_limit.supervised():
            return self._call(item)

    def close(self) -> None:
        """Close the work, if it was opened."""
        self._stack.close()
