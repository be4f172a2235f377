"""Writes and reads what becomes of each unit (record or image) that has duplicates, in a file with
a record batch for each part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import first_unit_id, split_unit_ids
from filters.duplicates.files.batches import read_batch
from filters.duplicates.phases.forest import Forest
from filters.duplicates.phases.search import Found
from manifests import record
from manifests.step import Outcome, Part, reasons
from manifests.storage import parts

UNIT, SURVIVOR, OF, SIMILARITY, FAMILY = "unit", "survivor", "of", "similarity", "family"
_EARLIER = "earlier"
_SCHEMA = pa.schema([
    (UNIT, pa.uint32()), (SURVIVOR, pa.string()), (OF, pa.string()), (SIMILARITY, pa.float32()),
    (FAMILY, pa.int32()), (_EARLIER, pa.bool_()),
])  # fmt: skip
"""The columns of the file of outcomes. `unit` is the number of the unit in its part. `survivor`,
`of` and `similarity` are null for units that stay. `earlier` is true if the survivor is in the
index of an earlier run."""


def write_outcomes(uri: str, found: Found, corpus_parts: int) -> None:
    """Writes what becomes of each unit (record or image) that has duplicates, sorted by part and by
    unit."""
    with parts.writing(uri, _SCHEMA, durable=False) as file:
        for own in _positions_by_part(found.forest, corpus_parts):
            file.write(_outcomes(found, own, first_unit_id(corpus_parts)))


def _outcomes(found: Found, own: slice, first_earlier: int) -> pa.Table:
    """Returns the rows of the file of outcomes for some units (records or images): those at the
    positions `own` of the forest. Units whose id is `first_earlier` or higher belong to indexes of
    earlier runs."""
    units, survivors, ids = found.forest.units, found.survivors, found.members.ids
    _, numbers = split_unit_ids(units[own])
    survivor, of = survivors.survivor[own], survivors.duplicate_of[own]
    stays = survivor < 0
    columns = [
        pa.array(numbers.astype(np.uint32)),
        ids.take(pa.array(survivor, mask=stays)),
        ids.take(pa.array(of, mask=stays)),
        pa.array(survivors.similarity[own], mask=stays),
        pa.array(survivors.family_size[own]),
        pa.array(~stays & (units[survivor] >= first_earlier)),
    ]
    return pa.table(columns, schema=_SCHEMA)


def _positions_by_part(forest: Forest, corpus_parts: int) -> Iterator[slice]:
    """Yields, for each part of the corpus, the slice of `forest.units` that has the units (records
    or images) of the part."""
    firsts = np.arange(corpus_parts + 1, dtype=np.uint64) << np.uint64(32)
    starts = np.searchsorted(forest.units, firsts).tolist()
    return map(slice, starts, starts[1:])


def read_outcomes(uri: str, part: Part) -> pa.Table:
    """Returns the rows of the file of outcomes for one part. Only units (records or images) that
    have duplicates have a row."""
    return read_batch(uri, part.number)


def outcome_of_part(uri: str, part: Part) -> Outcome:
    """Returns the measures and the drop reason of each record of a part. A record without
    duplicates is a family (group of duplicates) of one record."""
    found = read_outcomes(uri, part)
    place = np.full(part.rows, -1, np.int64)
    place[np.asarray(found[UNIT])] = np.arange(found.num_rows)
    at = pa.array(place, mask=place < 0)
    names = (SURVIVOR, OF, SIMILARITY, FAMILY)
    columns = {name: record.one_chunk(found[name]).take(at) for name in names}
    columns[FAMILY] = columns[FAMILY].fill_null(1)
    earlier, dropped = found[_EARLIER].take(at), columns[SURVIVOR].is_valid()
    rules = [(earlier, "in an earlier corpus"), (dropped, "duplicate")]
    return Outcome(columns, reasons(part.rows, *rules))
