"""Marks of records whose source annotates only some labels: which labels are known to be absent
from the image, and which are not annotated completely.

In a federated data set (LVIS, Open Images) each image has a few labels that were looked for. Some
of them are verified to be absent, and of some not all objects are annotated. Nothing is known of
any other label. The marks stay with the record in every step and in the shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

ABSENT = "curate.absent"
"""The key in `meta` with the labels that are known to be absent: `{"curate.absent": ["dog"]}`. A
record without it is annotated completely; of a record with it, no other label is known to be
absent."""
PARTIAL = "curate.partial"
"""The attribute of an object, true if other objects of its label are not annotated."""


def known_absent(meta: pa.Array | pa.ChunkedArray) -> list[list[str] | None]:
    """Returns the labels that are known to be absent, for each record with the mark; None for a
    record without it. Only values that contain the key are parsed."""
    found: list[list[str] | None] = [None] * len(meta)
    for row, parsed in _parsed(meta, ABSENT):
        labels = parsed.get(ABSENT)
        found[row] = labels if isinstance(labels, list) else None
    return found


def with_true(attributes: pa.Array, names: Sequence[str]) -> np.ndarray:
    """Returns (n,) bool: true for the objects that have a true attribute with one of the names.
    Only attributes (JSON) that contain one of the names are parsed.

    `with_true(['{"iscrowd": 1}', '{"iscrowd": 0}', None], ["iscrowd"]) -> [True, False, False]`
    """
    found = np.zeros(len(attributes), bool)
    for name in names:
        for row, parsed in _parsed(attributes, name):
            found[row] |= bool(parsed.get(name))
    return found


def _parsed(texts: pa.Array | pa.ChunkedArray, name: str) -> list[tuple[int, dict[str, Any]]]:
    """Returns the row number and the parsed value of each JSON object whose text contains
    `name`."""
    mentioned = np.flatnonzero(np.asarray(pc.match_substring(texts, name).fill_null(False)))
    values = ((row, orjson.loads(texts[row].as_py())) for row in mentioned.tolist())
    return [(row, value) for row, value in values if isinstance(value, dict)]
