"""Where the entries of a journal are, in 32 bytes for each."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from manifests.errors import UnreadableError
from recaption.client.entries import Line, files, lines

ATTEMPTS = 3
"""How often the files of a journal are read if one of them is gone meanwhile (our choice)."""


class Place(NamedTuple):
    uri: str
    start: int
    size: int


class Places:
    """Finds the place of an entry by its key, a digest of 16 bytes. If several have a key, it is
    the place in the first file. `known` is called with every line that has an entry."""

    def __init__(self, uris: list[str], known: Callable[[Line], None]) -> None:
        self._uris = uris
        keys, starts = bytearray(), array("Q")
        numbers, sizes = array("I"), array("I")
        for number, uri in enumerate(uris):
            for line in lines(uri):
                if key := line.key:
                    keys += key
                    starts.append(line.start)
                    numbers.append(number)
                    sizes.append(line.size)
                    known(line)
        halves = np.frombuffer(bytes(keys), ">u8").astype(np.uint64).reshape(-1, 2)
        order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: the first file is first
        self._high, self._low = halves[order, 0], halves[order, 1]
        self._starts, self._numbers = np.asarray(starts)[order], np.asarray(numbers)[order]
        self._sizes = np.asarray(sizes)[order]

    @classmethod
    def of(cls, folder: str, known: Callable[[Line], None] = lambda line: None) -> Places:
        """Reads the files of a journal; again if one is gone, because the journal was compacted
        meanwhile."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(UnreadableError):
                return cls(files(folder), known)
        return cls(files(folder), known)

    def find(self, key: bytes) -> Place | None:
        high, low = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
        at = int(np.searchsorted(self._high, np.uint64(high)))
        while at < len(self._high) and int(self._high[at]) == high:
            if int(self._low[at]) == low:
                uri = self._uris[int(self._numbers[at])]
                return Place(uri, int(self._starts[at]), int(self._sizes[at]))
            at += 1
        return None
