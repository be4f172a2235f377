"""The executor that works in this process, for tests, debugging and small jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Inline:
    """Runs one item after the other, in order."""

    name = "inline"
    workers = 1

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        for item in items:
            yield item, work(item)
