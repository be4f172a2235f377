"""Marks for records whose source annotates only some labels.

In a federated data set (LVIS, Open Images) the annotators looked for only a few labels in each
image. Some of these labels are verified to be absent: the record's `meta` lists them under the key
`curate.absent`. Of other labels, only some objects are annotated: these objects have the attribute
`curate.partial`. Nothing is known of all other labels. The marks stay with the record in every step
and in the shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

ABSENT = "curate.absent"
"""The key in `meta` that lists the labels known to be absent: `{"curate.absent": ["dog"]}`. If a
record has this key, nothing is known of labels that are neither listed nor annotated. If a record
does not have this key, and lost no part (`lost_parts`), its image is annotated completely."""
PARTIAL = "curate.partial"
"""The attribute of an object that is true if the image may have more objects with the same label,
which are not annotated."""


def known_absent(meta: pa.Array | pa.ChunkedArray) -> list[list[str] | None]:
    """Returns, for each record, the labels that are known to be absent from its image: the list
    under the key "curate.absent" in the record's `meta`; None if `meta` does not have this key, or
    if its value is not a list. Only texts that contain the key are parsed."""
    found: list[list[str] | None] = [None] * len(meta)
    for row, parsed in _parsed(meta, ABSENT):
        labels = parsed.get(ABSENT)
        found[row] = labels if isinstance(labels, list) else None
    return found


def with_true(attributes: pa.Array, names: Sequence[str]) -> np.ndarray:
    """Returns (n,) bool: whether at least one of the attributes `names` of each object is true.
    `attributes` has the JSON of each object; it is parsed only if it contains one of the names.

    `with_true(['{"iscrowd": 1}', '{"iscrowd": 0}', None], ["iscrowd"]) -> [True, False, False]`
    """
    found = np.zeros(len(attributes), bool)
    for name in names:
        for row, parsed in _parsed(attributes, name):
            found[row] |= bool(parsed.get(name))
    return found


def _parsed(texts: pa.Array | pa.ChunkedArray, name: str) -> list[tuple[int, dict[str, Any]]]:
    """Parses the JSON texts that contain the characters `name`, and no other texts. Returns (row
    number, parsed object) for each of them that is a JSON object."""
    mentioned = np.flatnonzero(np.asarray(pc.match_substring(texts, name).fill_null(False)))
    values = ((row, orjson.loads(texts[row].as_py())) for row in mentioned.tolist())
    return [(row, value) for row, value in values if isinstance(value, dict)]
