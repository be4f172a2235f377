"""An index of a journal's entries: the file, the start and the size of each entry. It takes 40
bytes an entry."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from manifests.errors import UnreadableError
from recaption.client.entries import Line, files, lines

ATTEMPTS = 3
"""How often the files of a journal are read at most, if one is deleted meanwhile (our choice)."""


class Place(NamedTuple):
    uri: str
    start: int
    size: int


class Places:
    """Finds the place of an entry by its key, a digest of 16 bytes. If several entries have the
    key, it finds the one in the first of the files `uris`. `keys` and `columns` have one row for
    each entry; the columns are the number of its file, its start and its size."""

    def __init__(
        self, uris: list[str], keys: np.ndarray, columns: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: the first file is first
        self._uris, self._keys = uris, keys[order]
        self._high = np.ascontiguousarray(self._keys[:, 0])
        self._columns = tuple(column[order] for column in columns)

    @classmethod
    def read(cls, uris: list[str], known: Callable[[Line], None]) -> Places:
        """Reads the files of a journal. `known` is called with every line that has a reply."""
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
        return cls(uris, _halves(keys), (_values(numbers), _values(starts), _values(sizes)))

    @classmethod
    def of(cls, folder: str, known: Callable[[Line], None] = lambda line: None) -> Places:
        """Reads the files of the journal in `folder`. If a file is missing, because the journal was
        compacted in the meantime, all files are read again."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(UnreadableError):
                return cls.read(files(folder), known)
        return cls.read(files(folder), known)

    def joined(self, places: Mapping[bytes, Place]) -> Places:
        """Returns an index with the entries of this index and the entries in `places`. If a key is
        in both, the entry of this index is found."""
        uris = list(dict.fromkeys([*self._uris, *(place.uri for place in places.values())]))
        number = {uri: n for n, uri in enumerate(uris)}
        rows = [(number[place.uri], place.start, place.size) for place in places.values()]
        new = np.array(rows, np.uint64).reshape(-1, 3)
        numbers, starts, sizes = (
            np.concatenate([old, added.astype(old.dtype)])
            for old, added in zip(self._columns, new.T, strict=True)
        )
        keys = np.concatenate([self._keys, _halves(b"".join(places))])
        return Places(uris, keys, (numbers, starts, sizes))

    def find(self, key: bytes) -> Place | None:
        high, low = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")
        at = int(np.searchsorted(self._high, np.uint64(high)))
        while at < len(self._high) and int(self._high[at]) == high:
            if int(self._keys[at, 1]) == low:
                number, start, size = (int(column[at]) for column in self._columns)
                return Place(self._uris[number], start, size)
            at += 1
        return None


def _halves(keys: bytes | bytearray) -> np.ndarray:
    """Returns the first and the last 8 bytes of each key as numbers, in an array (entries, 2)."""
    return np.frombuffer(bytes(keys), ">u8").astype(np.uint64).reshape(-1, 2)


def _values(values: array[int]) -> np.ndarray:
    return np.asarray(values)
