"""Arrays under the keys of a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.formats import chunks, json_pieces
from curate.ingest.formats.json_elements import (
    ByteRange,
    Members,
    elements,
    members,
    object_keys,
    value_start,
)
from curate.ingest.formats.json_splits import array_splits
from manifests.storage import File
from tests.ingest.formats.json_arrays import HERE, HOLDERS, values_and_broken, write


@pytest.fixture(autouse=True)
def _usual_chunks() -> Iterator[None]:
    usual = chunks.CHUNK_BYTES
    yield
    chunks.CHUNK_BYTES = usual


def test_the_value_of_a_key_may_be_of_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "MAX_ELEMENT_BYTES", 100)
    chunks.CHUNK_BYTES = 64
    numbers = list(range(1000))
    place = write(tmp_path, json.dumps({"a": numbers, "b": [1]}).encode())
    ranges, fault, _ = members(place)
    assert (list(ranges), fault) == (["a", "b"], "")
    assert [e.value() for e in elements(place, *ranges["a"])] == numbers
    assert [e.value() for e in elements(place, *ranges["b"])] == [1]


def test_members_have_the_byte_ranges_of_their_values(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"a": [1, 2], "b\\n": {"c": [3]}\n}'
    found = members(write(tmp_path, data))
    assert found == Members({"a": ByteRange(8, 15), "b\n": ByteRange(23, 35)}, "", {})
    spans = [data[s.start : s.stop] for s in found.ranges.values()]
    assert spans == [b" [1, 2]", b' {"c": [3]}\n']


@given(holder=HOLDERS, chunk=st.integers(1, 40))
@HERE
def test_an_array_under_any_key_is_read_like_a_file_of_one_array(
    tmp_path: Path, holder: dict[str, list[Any]], chunk: int
) -> None:
    place = write(tmp_path, json.dumps(holder).encode())
    chunks.CHUNK_BYTES = chunk
    found = members(place)
    assert found.fault == ""
    assert {k: values_and_broken(elements(place, *s))[0] for k, s in found.ranges.items()} == {
        key: list(enumerate(array)) for key, array in holder.items()
    }


def test_an_array_under_a_key_is_cut_into_splits_within_it(tmp_path: Path) -> None:
    array = [{"n": n} for n in range(50)]
    data = json.dumps({"a": [0], "b": array, "c": [0]}).encode()
    place = write(tmp_path, data)
    file = File(place, "a.json", len(data), 0)
    splits = list(array_splits(file, place, members(place).ranges["b"], 100))
    assert len(splits) == 5
    parts = [values_and_broken(elements(place, *split[1:])) for split in splits]
    assert [v for values, _ in parts for v in values] == list(enumerate(array))
    assert not any(broken for _, broken in parts)


def test_an_object_cut_in_half_still_has_the_starts_of_its_arrays(tmp_path: Path) -> None:
    place = write(tmp_path, b'{"a": [1, 2], "b": [3, 4')
    found = members(place)
    assert found.ranges == {"a": ByteRange(5, 12), "b": ByteRange(18, -1)}
    assert found.fault == "the file ends inside this element, at byte 24."
    assert values_and_broken(elements(place, *found.ranges["b"])) == ([(0, 3)], [1])


def test_the_first_value_of_a_repeated_key_is_given_and_the_second_is_a_fault(
    tmp_path: Path,
) -> None:
    found = members(write(tmp_path, b'{"a": [1], "a": [2]}'))
    assert found == Members({"a": ByteRange(5, 9)}, "the key 'a' occurs twice.", {})


def test_an_array_closed_by_the_wrong_bracket_is_broken(tmp_path: Path) -> None:
    place = write(tmp_path, b'{"a": [1, 2}, "b": [3]}')
    assert values_and_broken(elements(place, *members(place).ranges["a"])) == ([(0, 1)], [1])


def test_a_key_is_found_without_reading_past_it(tmp_path: Path) -> None:
    place = write(tmp_path, b'{"a": {"b": 1}, "b" : [2, 3]')
    assert value_start(place, "b") == 21
    assert value_start(place, "c") is None
    assert next(elements(place, 21)).value() == 2


def test_keys_of_a_cut_object_are_those_before_the_cut() -> None:
    assert object_keys(b'{"a": 1, "b": {"c": "x, y"}, "d": [1,') == ["a", "b", "d"]
    assert object_keys(b"[1, 2]") == object_keys(b"") == object_keys(b"{") == []


@pytest.mark.parametrize(
    ("data", "fault", "broken"),
    [
        (b'{"info": {"year": 20x4}, "a": [1]}', "", ["info"]),
        (b'{"info": {"year" 2014}, "a": [1]}', "", ["info"]),
        (b'{"info": {"a": 1}, "a": [1], "licenses": [1,, 2]}', "", ["licenses"]),
        (b'{"info": tru, "a": [1]}', "", ["info"]),
        (b'{"info": , "a": [1]}', "", ["info"]),
        (b'{"info": "\xff", "a": [1]}', "", ["info"]),
        (b'{"info", {}, "a": [1]}', "a ',' is in the wrong place, at byte 7.", []),
        (b'{"info": {}: "a": [1]}', "a ':' is in the wrong place, at byte 11.", []),
        (b'{7: {}, "a": [1]}', "the key at byte 1 is 7, not text.", []),
        (b'{"info": {"n": NaN}, "a": [1x]}', "", []),
    ],
)
def test_values_that_no_reader_parses_are_checked(
    tmp_path: Path, data: bytes, fault: str, broken: list[str]
) -> None:
    for size in (1, 3, 1000):
        chunks.CHUNK_BYTES = size
        found = members(write(tmp_path, data), ["a"])
        assert (found.fault, list(found.broken)) == (fault, broken)
    assert members(write(tmp_path, data)).broken == {}
