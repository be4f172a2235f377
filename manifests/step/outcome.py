"""What a step answers for each row of a batch, and how reasons are made from row masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.run.manifest import FileEntry


class Outcome(NamedTuple):
    """What a step says of each row of a batch."""

    columns: dict[str, pa.Array]
    """Measures by the names in `measures`, or rewritten record columns named in `rewrites`."""
    drop: pa.Array | None = None
    """string: why the row goes, null where it stays. A short, fixed phrase; the numbers that
    prove it are in `columns`, and the engine keeps them with the dropped row."""
    error: pa.Array | None = None
    """string: why the row could not be judged, null where it could. Such rows are quarantined."""
    files: tuple[FileEntry, ...] = ()
    """What a corpus step keeps for later runs, of this part; written to `workspace.kept`."""


def reasons(rows: int, *rules: tuple[pa.Array | pa.ChunkedArray | np.ndarray, str]) -> pa.Array:
    """The first reason that applies to each row, null where none does.

    Each rule is a boolean mask (true: the row goes) and its phrase; a null mask does not apply.
    """
    which = np.full(rows, -1, np.int32)
    for number, (mask, _) in reversed(list(enumerate(rules))):
        which[np.asarray(_plain(mask))] = number
    phrases = pa.array([phrase for _, phrase in rules], pa.string())
    return phrases.take(pa.array(which, mask=which < 0))


def _plain(mask: pa.Array | pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask
    return np.asarray(mask.fill_null(False))
