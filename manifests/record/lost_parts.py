"""Marks records that were read without some of their parts, because these parts are in quarantine,
such as an annotation of an image.

A step that states something about all parts of a record (a count of its objects, a category that is
absent) must not state it about a marked record. The mark is one key in the JSON of `meta`, so that
the mark stays with the record in every step and in the shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

LOST = "curate.lost"
"""The key in `meta` that has the lost parts by kind: `{"curate.lost": {"annotations": 2}}`."""
INCOMPLETE = "incomplete record"
"""The reason with which a step drops or skips a record that lost a part when it was read."""


def with_lost(meta: Mapping[str, Any] | None, **lost: int) -> dict[str, Any]:
    """Returns `meta` with the numbers of parts that the record lost when it was read, by the kind
    of part. A number is added to the number that `meta` already has; 0 changes nothing.

    `with_lost({"a": 1}, annotations=2) -> {"a": 1, "curate.lost": {"annotations": 2}}`
    """
    known = dict(meta or {})
    before = known.pop(LOST, None)
    counts = dict(before) if isinstance(before, dict) else {}
    for kind, number in lost.items():
        if number:
            counts[kind] = counts.get(kind, 0) + number
    return known | ({LOST: counts} if counts else {})


def lost_parts(meta: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (records,) bool: true for the records that lost a part when they were read, such as
    an annotation that is in quarantine.

    `meta` has the JSON of each record. Only a text that contains the key "curate.lost" is parsed,
    so the check is fast for a corpus without such records.
    """
    mentioned = np.asarray(pc.match_substring(meta, LOST).fill_null(False))
    lost = np.zeros(len(meta), bool)
    for row in np.flatnonzero(mentioned).tolist():
        parsed = orjson.loads(meta[row].as_py())
        lost[row] = isinstance(parsed, dict) and bool(parsed.get(LOST))
    return lost
