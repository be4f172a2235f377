"""Random JSON arrays, and the values and faults of their elements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from curate.ingest.formats.json_pieces import Element
from manifests.errors import RowError

ValuesAndBroken = tuple[list[tuple[int, Any]], list[int]]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=16,
)
HOLDERS = st.dictionaries(TEXT, st.lists(VALUES, max_size=5), max_size=5)
INDENTS = st.sampled_from([None, 0, 2, "line"])
HERE = settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def write(folder: Path, data: bytes, name: str = "a.json") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def values_and_broken(found: Iterator[Element]) -> ValuesAndBroken:
    """The values of the valid elements with their numbers, and the numbers of the broken ones."""
    values: list[tuple[int, Any]] = []
    broken: list[int] = []
    for element in found:
        try:
            values.append((element.number, element.value()))
        except RowError:
            broken.append(element.number)
    return values, broken
