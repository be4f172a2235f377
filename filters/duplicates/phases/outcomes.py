"""From verdicts over units to what the step says of every row of every part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import parts_and_rows
from filters.duplicates.phases.forest import Forest, Verdicts
from manifests.step import Outcome, Part, reasons
from manifests.storage import parts

SURVIVOR, OF, SIMILARITY, FAMILY = "survivor", "of", "similarity", "family"
_ROWS = pa.schema([("unit", pa.uint32())])


def outcomes(
    corpus: tuple[Part, ...], wood: Forest, said: Verdicts, ids: pa.Array, foreign: np.ndarray
) -> Iterator[tuple[Part, Outcome]]:
    """The measures and reasons of every part. `ids`, `foreign`: of the units of the forest."""
    old = np.append(foreign, False)  # of no unit (-1): not foreign
    _, all_rows = parts_and_rows(wood.units)
    for part, own in by_part(wood, len(corpus)):
        rows = all_rows[own]
        survivor = np.full(corpus[part].rows, -1, np.int64)
        survivor[rows] = said.survivor[own]
        of = np.full(len(survivor), -1, np.int64)
        of[rows] = said.of[own]
        similarity = np.full(len(survivor), np.nan, np.float32)
        similarity[rows] = said.similarity[own]
        family = np.ones(len(survivor), np.int32)
        family[rows] = said.family_size[own]
        gone = survivor >= 0
        columns = {
            SURVIVOR: ids.take(pa.array(survivor, mask=~gone)),
            OF: ids.take(pa.array(of, mask=~gone)),
            SIMILARITY: pa.array(similarity, mask=~gone),
            FAMILY: pa.array(family),
        }
        drop = reasons(
            len(survivor), (gone & old[survivor], "in an earlier corpus"), (gone, "duplicate")
        )
        yield corpus[part], Outcome(columns, drop)


def by_part(wood: Forest, count: int) -> Iterator[tuple[int, slice]]:
    """For each part its units' positions in the forest."""
    firsts = np.arange(count + 1, dtype=np.uint64) << np.uint64(32)
    starts = np.searchsorted(wood.units, firsts).tolist()
    for part in range(count):
        yield part, slice(starts[part], starts[part + 1])


def write_gone(uri: str, wood: Forest, said: Verdicts, count: int) -> None:
    """A file with a batch for every part, of its rows that go."""
    _, rows = parts_and_rows(wood.units)
    with parts.writing(uri, _ROWS, durable=False) as file:
        for _, own in by_part(wood, count):
            gone = rows[own][said.survivor[own] >= 0].astype(np.uint32)
            file.write(pa.table([pa.array(gone)], schema=_ROWS))
