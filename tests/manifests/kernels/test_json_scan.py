"""The borders that the scan finds are those that Python's own JSON parser stops at."""

from __future__ import annotations

import json
from json import JSONDecoder
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.kernels.json_scan import scan
from manifests.text.json_states import CLOSED, SPOILED, STATE, new_state

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
INDENTS = st.sampled_from([None, 0, 1, 4, "\t"])
Border = tuple[int, int]


def scanned(data: bytes, chunk_bytes: int, *, is_array: bool) -> tuple[list[Border], int]:
    """The borders in the bytes of an array or object, scanned in chunks; and the last state."""
    memory, found = new_state(1), list[Border]()
    for start in range(1, len(data), chunk_bytes):
        chunk = data[start : start + chunk_bytes]
        borders = np.empty((len(chunk), 2), np.int64)
        count = scan(chunk, memory, is_array, borders)
        found += [(end, following) for end, following in borders[:count].tolist()]
    return found, int(memory[STATE])


def parsed(text: str, separators: str) -> list[Border]:
    """The borders at which Python's parser stops, between an opening and a closing bracket."""
    found, at, decoder = list[Border](), 1, JSONDecoder()
    while True:
        at = blanks_after(text, at)
        _, at = decoder.raw_decode(text, at)
        at = blanks_after(text, at)
        border = len(text[:at].encode())
        found.append((border, border + 1))
        at += 1
        if text[at - 1] not in separators:
            return found


def blanks_after(text: str, at: int) -> int:
    return at + len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))


def laid_out(value: Any, indent: int | str | None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False)


@given(st.lists(VALUES, min_size=1, max_size=8), INDENTS, st.integers(1, 40))
@settings(database=None)
def test_borders_of_an_array_are_those_of_the_parser(
    array: list[Any], indent: int | str | None, chunk_bytes: int
) -> None:
    text = laid_out(array, indent)
    found, state = scanned(text.encode(), chunk_bytes, is_array=True)
    assert (found, state) == (parsed(text, ","), CLOSED)


@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=8), INDENTS, st.integers(1, 40))
@settings(database=None)
def test_borders_of_an_object_are_those_of_the_parser_between_keys_and_values(
    members: dict[str, Any], indent: int | str | None, chunk_bytes: int
) -> None:
    text = laid_out(members, indent)
    found, state = scanned(text.encode(), chunk_bytes, is_array=False)
    assert (found, state) == (parsed(text, ",:"), CLOSED)


@given(st.text(' \t\r\n"\\{}[],:a', max_size=60), st.booleans(), st.integers(1, 9))
@settings(database=None)
def test_a_scan_in_chunks_gives_the_borders_of_one_scan(
    text: str, is_array: bool, chunk_bytes: int
) -> None:
    data = b"[" + text.encode()
    found, state = scanned(data, chunk_bytes, is_array=is_array)
    if state != SPOILED:  # where a reader stops
        assert (found, state) == scanned(data, len(data), is_array=is_array)
