"""The executor of this process: one item after the other. For tests, debugging and small jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Inline:
    """Runs everything here, in order."""

    name = "inline"
    workers = 1

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        for item in items:
            yield item, work(item)
