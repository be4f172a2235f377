"""The answer of a step for a batch, and drop reasons from row masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.storage.file_entry import FileEntry


class Outcome(NamedTuple):
    """The answer of a step for a batch; every array has one value for each row, in order."""

    columns: dict[str, pa.Array]
    """Measures, named as in `measures`, and record columns that the step rewrote, named as in
    `rewrites`."""
    drop: pa.Array | None = None
    """string: the reason to drop the row, null to keep it. A short, fixed phrase: the measured
    values are in `columns`, and the engine stores them with the dropped row."""
    error: pa.Array | None = None
    """string: why the step failed on the row, else null. The engine quarantines such rows."""
    files: tuple[FileEntry, ...] = ()
    """Files that a corpus step wrote to `workspace.kept` for this part, for later runs."""


def reasons(rows: int, *rules: tuple[pa.Array | pa.ChunkedArray | np.ndarray, str]) -> pa.Array:
    """The drop reason of each row: that of the first rule whose mask is true, else null.

    A rule is a bool mask and its reason; a null in a mask counts as false:
    `reasons(3, ([True, False, None], "too short"), ([True, True, False], "no image"))
    -> ["too short", "no image", null]`
    """
    rule_of_row = np.full(rows, -1, np.int32)
    for number, (mask, _) in reversed(list(enumerate(rules))):
        rule_of_row[np.asarray(_false_for_null(mask))] = number
    phrases = pa.array([phrase for _, phrase in rules], pa.string())
    return phrases.take(pa.array(rule_of_row, mask=rule_of_row < 0))


def _false_for_null(mask: pa.Array | pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask
    return np.asarray(mask.fill_null(False))
