"""The executor that runs tasks in this process, for tests, debugging and small jobs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from manifests.step import Opened, Resources

T = TypeVar("T")
R = TypeVar("R")


class Inline:
    """An executor that processes one item after another, in order, in this process."""

    name = "inline"
    workers = 1

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        for item in items:
            yield item, work(item)

    def map_opened(
        self, work: Opened[T, R], items: Iterable[T], resources: Resources
    ) -> Iterator[tuple[T, R]]:
        waiting = iter(items)
        first = next(waiting, None)
        if first is None:  # there are no items, so load no model
            return
        with work.open() as call:
            for item in itertools.chain([first], waiting):
                yield item, call(item)
