"""Random choices for a record that depend only on the step's seed and the record's id.

So the choices are the same for any number of workers and any order of records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pyarrow as pa

from manifests.kernels.splitmix64 import next_word
from manifests.record import random_keys

T = TypeVar("T")


class RandomChoices:
    """A generator of choices from one 64-bit key: splitmix64 (Steele et al. 2014).

    It is plain Python because a record needs only a few choices. `choice` and `sample` work like
    the methods of `random.Random`.
    """

    def __init__(self, key: int) -> None:
        self._state = key

    def below(self, limit: int) -> int:
        """Returns a random number from 0 to `limit` - 1. All numbers are equally likely. `limit`
        must be far below 2^64."""
        self._state, word = next_word(self._state)
        return word % limit

    def choice(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """Returns `count` different elements of `values` in random order, or all elements if there
        are fewer."""
        left = list(values)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        return self.sample(values, len(values))


def random_choices(ids: pa.Array | pa.ChunkedArray, seed: int) -> list[RandomChoices]:
    """Returns a generator of random choices for each record. The generator starts from a hash of
    the record's id and `seed`. `seed` is the seed of the step (`context.seed`); it differs between
    two steps of a recipe, so their choices are independent."""
    return [RandomChoices(key) for key in random_keys(ids, seed).tolist()]
