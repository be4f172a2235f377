"""From survivors of the forest to measures and drop reasons of every record of every part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import first_unit_id, split_unit_ids
from filters.duplicates.files.batches import write_batches
from filters.duplicates.phases.forest import Forest
from filters.duplicates.phases.search import Found
from manifests.step import Outcome, Part, reasons

SURVIVOR, OF, SIMILARITY, FAMILY = "survivor", "of", "similarity", "family"
_ROWS = pa.schema([("unit", pa.uint32())])


def outcomes(corpus: tuple[Part, ...], found: Found) -> Iterator[tuple[Part, Outcome]]:
    """The outcome of every part. A record without duplicates is a family of one."""
    units, survivors, ids = found.forest.units, found.survivors, found.members.ids
    # One more value, for position -1: a record that stays has no survivor.
    from_earlier_run = np.append(units >= first_unit_id(len(corpus)), False)
    _, rows_in_part = split_unit_ids(units)
    for part, own in positions_by_part(found.forest, len(corpus)):
        rows, count = rows_in_part[own], corpus[part].rows
        survivor = _spread(survivors.survivor[own], rows, count, -1)
        of = _spread(survivors.duplicate_of[own], rows, count, -1)
        similarity = _spread(survivors.similarity[own], rows, count, np.nan)
        dropped = survivor >= 0
        columns = {
            SURVIVOR: ids.take(pa.array(survivor, mask=~dropped)),
            OF: ids.take(pa.array(of, mask=~dropped)),
            SIMILARITY: pa.array(similarity, mask=~dropped),
            FAMILY: pa.array(_spread(survivors.family_size[own], rows, count, 1)),
        }
        earlier = dropped & from_earlier_run[survivor]
        drop = reasons(count, (earlier, "in an earlier corpus"), (dropped, "duplicate"))
        yield corpus[part], Outcome(columns, drop)


def _spread(values: np.ndarray, rows: np.ndarray, count: int, other: float) -> np.ndarray:
    """An array of `count` values: values[i] at rows[i], `other` everywhere else."""
    spread = np.full(count, other, values.dtype)
    spread[rows] = values
    return spread


def positions_by_part(forest: Forest, parts: int) -> Iterator[tuple[int, slice]]:
    """For each part of the corpus the positions of its units in the forest."""
    starts = _starts(forest, parts)
    for part in range(parts):
        yield part, slice(starts[part], starts[part + 1])


def _starts(forest: Forest, parts: int) -> list[int]:
    firsts = np.arange(parts + 1, dtype=np.uint64) << np.uint64(32)
    return [int(start) for start in np.searchsorted(forest.units, firsts)]


def write_dropped_rows(uri: str, found: Found, parts: int) -> None:
    """Write the numbers of the rows that are dropped, a batch for each part."""
    _, rows = split_unit_ids(found.forest.units)
    dropped = found.survivors.survivor >= 0
    before = np.concatenate([[0], np.cumsum(dropped)])
    table = pa.table([pa.array(rows[dropped].astype(np.uint32))], schema=_ROWS)
    write_batches(uri, table, before[_starts(found.forest, parts)])
