"""Random choices about one record: the same for any number of workers and any order of records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import pyarrow as pa

from manifests.kernels.splitmix64 import next_word
from manifests.record import random_keys

T = TypeVar("T")


class Draws:
    """A stream of choices from one 64-bit key: splitmix64 (Steele et al. 2014), in plain numbers
    because a record needs a handful."""

    def __init__(self, key: int) -> None:
        self._state = key

    def below(self, limit: int) -> int:
        """A number under `limit`, which is far under 2^64: each as likely."""
        self._state, word = next_word(self._state)
        return word % limit

    def one(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def some(self, values: Sequence[T], count: int) -> list[T]:
        """So many of the values, or all there are, in random order."""
        left = list(values)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        return self.some(values, len(values))


def draws(ids: pa.Array | pa.ChunkedArray, seed: int, step: str) -> list[Draws]:
    """The choices of a step about each record; two steps of one seed choose apart."""
    mixed = hashlib.blake2b(f"{step}\0{seed}".encode(), digest_size=8).digest()
    keys = random_keys(ids, int.from_bytes(mixed, "big"))
    return [Draws(key) for key in keys.tolist()]
