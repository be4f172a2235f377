"""Finds the entities of a table in texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.text.entity_tables.entity import Entity
from manifests.errors import InputError
from manifests.kernels.phrases import (
    MAX_TOKENS,
    PhraseTable,
    find_phrases,
    phrase_hashes,
    phrase_table,
)


class Found(NamedTuple):
    """The entities found in each text. numbers[offsets[i] : offsets[i + 1]] are the entities of
    text i, as row numbers in the table, each once, in the order in which they begin in the text."""

    offsets: np.ndarray
    numbers: np.ndarray


class Finder(NamedTuple):
    """The entities of a table as columns, and a hash table of their names. Phrase p of the hash
    table is a name of the entities in the rows owners[starts[p] : starts[p + 1]] of `table`."""

    table: pa.Table
    phrases: PhraseTable
    starts: np.ndarray
    owners: np.ndarray

    def find(self, texts: pa.Array, languages: pa.Array) -> Found:
        """Finds the entities in each text. `languages` has the language of each text."""
        ends, phrases = find_phrases(_composed(texts), self.phrases)
        rows = np.repeat(np.arange(len(texts)), np.diff(ends))
        sizes = np.diff(self.starts)[phrases]
        before = np.cumsum(sizes) - sizes
        inside = np.arange(int(sizes.sum())) - np.repeat(before, sizes)
        numbers = self.owners[np.repeat(self.starts[phrases], sizes) + inside]
        rows = np.repeat(rows, sizes)
        if self.table["language"].null_count < self.table.num_rows:
            allowed = self._in_language(rows, numbers, languages)
            rows, numbers = rows[allowed], numbers[allowed]
        _, first = np.unique(rows * self.table.num_rows + numbers, return_index=True)
        first.sort()
        offsets = np.searchsorted(rows[first], np.arange(len(texts) + 1))
        return Found(offsets.astype(np.int32), numbers[first])

    def _in_language(
        self, rows: np.ndarray, numbers: np.ndarray, languages: pa.Array
    ) -> np.ndarray:
        """Returns whether each found entity has no language, or the language of the text. `rows`
        are the texts, `numbers` the entities found in them."""
        own = self.table["language"].take(pa.array(numbers))
        same = pc.equal(own, languages.take(pa.array(rows))).fill_null(False)
        return np.asarray(pc.or_(own.is_null(), same))


def _composed(texts: pa.Array) -> pa.Array:
    """Returns the texts in the normal form NFC, in which "e" and a combining accent are one
    character."""
    return pc.utf8_normalize(texts, form="NFC")


def finder_of(entities: Iterable[Entity]) -> Finder:
    listed = list(entities)
    names = [name for entity in listed for name in entity.names]
    owners = np.repeat(np.arange(len(listed)), [len(entity.names) for entity in listed])
    phrases = _composed(pa.array(names, pa.string()))
    _, _, tokens = phrase_hashes(phrases)
    for at in np.flatnonzero(tokens > MAX_TOKENS).tolist():
        fault = f"the name {names[at]!r:.80} has more than {MAX_TOKENS} words and signs."
        raise InputError(fault, listed[owners[at]].place, "Shorten the name.")
    table, numbers = phrase_table(phrases)
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(table.phrases + 1))
    columns = {
        "id": pa.array([e.id for e in listed], pa.string()),
        "name": pa.array([e.names[0] for e in listed], pa.string()),
        "category": pa.array([e.category for e in listed], pa.string()),
        "prominence": pa.array([e.prominence for e in listed], pa.float64(), from_pandas=True),
        "language": pa.array([e.language for e in listed], pa.string()),
    }
    return Finder(pa.table(columns), table, starts, owners[order])
