"""Borders between elements of JSON arrays are found before parsing, even if some are broken."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.formats import batching, chunks, json_pieces
from curate.ingest.formats.json_elements import (
    batches,
    element_groups,
    elements,
)
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from manifests.errors import RowError
from manifests.storage import File
from tests.ingest.formats.json_arrays import (
    HERE,
    INDENTS,
    VALUES,
    ValuesAndBroken,
    values_and_broken,
    write,
)


@pytest.fixture(autouse=True)
def _usual_chunks() -> Iterator[None]:
    usual = chunks.CHUNK_BYTES
    yield
    chunks.CHUNK_BYTES = usual


def faults(found: Iterator[Element]) -> list[str]:
    messages = []
    for element in found:
        try:
            element.value()
        except RowError as error:
            messages.append(error.fault)
    return messages


def by_splits(place: str, size: int, split_bytes: int) -> ValuesAndBroken:
    values: list[tuple[int, Any]] = []
    broken: list[int] = []
    for split in array_splits(File(place, "a.json", size, 0), place, split_bytes=split_bytes):
        part = values_and_broken(elements(place, *split[1:]))
        values, broken = values + part[0], broken + part[1]
    return values, broken


def laid_out(value: list[Any], indent: int | str | None) -> bytes:
    if indent == "line":
        return b"[\n" + b",\n".join(json.dumps(item).encode() for item in value) + b"\n]"
    assert not isinstance(indent, str)
    return json.dumps(value, indent=indent, ensure_ascii=False).encode()


@given(array=st.lists(VALUES, max_size=10), indent=INDENTS, chunk=st.integers(1, 40))
@HERE
def test_elements_are_those_that_the_parser_of_the_whole_array_gives(
    tmp_path: Path, array: list[Any], indent: int | str | None, chunk: int
) -> None:
    data = laid_out(array, indent)
    place = write(tmp_path, data)
    chunks.CHUNK_BYTES = chunk
    assert values_and_broken(elements(place)) == (list(enumerate(json.loads(data))), [])


@given(array=st.lists(VALUES, max_size=10), indent=INDENTS, split_bytes=st.integers(1, 99))
@HERE
def test_splits_together_have_every_element_once_with_its_number(
    tmp_path: Path, array: list[Any], indent: int | str | None, split_bytes: int
) -> None:
    data = laid_out(array, indent)
    place = write(tmp_path, data)
    assert by_splits(place, len(data), split_bytes) == (list(enumerate(array)), [])


def test_an_element_has_the_range_of_its_bytes(tmp_path: Path) -> None:
    data = b' [ {"a": 1} ,\n"\xc3\xa9]" ]'
    found = list(elements(write(tmp_path, data)))
    assert found == [Element(0, 2, 12, b' {"a": 1} '), Element(1, 13, 20, b'\n"\xc3\xa9]" ')]
    assert all(data[e.start : e.stop] == e.data for e in found)


@pytest.mark.parametrize("data", [b"[]", b" [ \n\t\r ] \n", b"\xef\xbb\xbf[]"])
def test_an_empty_array_has_no_elements(tmp_path: Path, data: bytes) -> None:
    assert list(elements(write(tmp_path, data))) == []


def test_a_byte_order_mark_before_an_array_is_skipped(tmp_path: Path) -> None:
    place = write(tmp_path, b"\xef\xbb\xbf \n[1, 2]")
    assert values_and_broken(elements(place)) == ([(0, 1), (1, 2)], [])


def test_an_element_with_a_key_twice_is_broken_alone(tmp_path: Path) -> None:
    place = write(tmp_path, b'[{"a": 1, "a": 2}, {"a": 3}]')
    assert values_and_broken(elements(place)) == ([(1, {"a": 3})], [0])


def test_a_compressed_array_is_one_split_and_reads_the_same(tmp_path: Path) -> None:
    place = write(tmp_path, gzip.compress(b"[1, [2], 3]"), "a.json.gz")
    assert by_splits(place, 1 << 30, 1) == ([(0, 1), (1, [2]), (2, 3)], [])


def test_splits_end_at_borders_and_have_the_minimum_size(tmp_path: Path) -> None:
    data = b"[" + b", ".join(b'{"n": %4d}' % n for n in range(100)) + b"]"
    place = write(tmp_path, data)
    splits = list(array_splits(File(place, "a.json", len(data), 0), place, split_bytes=300))
    assert splits[0].start == 0
    assert splits[-1].stop == -1
    assert [s.stop for s in splits[:-1]] == [s.start for s in splits[1:]]
    assert all(s.stop - s.start >= 300 for s in splits[:-1])
    assert all(data[s.start - 1 : s.start] == b"," for s in splits[1:])
    assert [s.first for s in splits] == [0, 24, 48, 72, 96]


def test_an_array_of_numbers_is_read_like_any_other(tmp_path: Path) -> None:
    place = write(tmp_path, json.dumps(list(range(100_000))).encode())
    assert [e.value() for e in elements(place)] == list(range(100_000))


def test_an_array_cut_in_half_gives_the_complete_elements_and_then_the_cut_one(
    tmp_path: Path,
) -> None:
    place = write(tmp_path, b'[{"a": 1}, {"b": 2}, {"c": "thr')
    assert values_and_broken(elements(place)) == ([(0, {"a": 1}), (1, {"b": 2})], [2])
    assert faults(elements(place)) == ["the file ends inside this element, at byte 31."]


def test_an_array_cut_between_elements_has_a_fault_after_the_last(tmp_path: Path) -> None:
    for data in (b'[{"a": 1}, {"b": 2}', b'[{"a": 1}, {"b": 2},', b'[{"a": 1}, {"b": 2}, \n'):
        place = write(tmp_path, data)
        assert values_and_broken(elements(place)) == ([(0, {"a": 1}), (1, {"b": 2})], [2])
        fault = f"the file ends before the array is closed, at byte {len(data)}."
        assert faults(elements(place)) == [fault]


def test_a_number_at_the_cut_is_not_a_complete_element(tmp_path: Path) -> None:
    assert values_and_broken(elements(write(tmp_path, b"[1, 23"))) == ([(0, 1)], [1])


def test_garbage_between_elements_breaks_one_element(tmp_path: Path) -> None:
    place = write(tmp_path, b'[{"a": 1}, {"b": }, nonsense, {"c": 3} {"d": 4}, {"e": 5}]')
    assert values_and_broken(elements(place)) == ([(0, {"a": 1}), (4, {"e": 5})], [1, 2, 3])


def test_an_extra_comma_is_a_broken_element(tmp_path: Path) -> None:
    for data, broken in ((b"[1,,2]", [1]), (b"[,]", [0, 1]), (b"[1,]", [1]), (b"[,1]", [0])):
        assert values_and_broken(elements(write(tmp_path, data)))[1] == broken
    assert faults(elements(write(tmp_path, b"[1,,2]"))) == [
        "the element at byte 3 is empty: the JSON has one comma too many."
    ]


@pytest.mark.parametrize("indent", ["line", 2, 0])
def test_a_missing_quote_breaks_one_element_if_elements_have_lines_of_their_own(
    tmp_path: Path, indent: int | str
) -> None:
    array = [{"id": n, "text": f"the {n}th"} for n in range(6)]
    data = laid_out(array, indent).replace(b'"the 3th"', b'"the 3th')
    place = write(tmp_path, data)
    whole = [(n, element) for n, element in enumerate(array) if n != 3]
    for chunk in (1, 7, 1 << 20):
        chunks.CHUNK_BYTES = chunk
        assert values_and_broken(elements(place)) == (whole, [3])
        assert by_splits(place, len(data), 40) == (whole, [3])
        assert all(data[e.start : e.stop] == e.data for e in elements(place))


def test_a_raw_newline_in_a_text_breaks_that_element_alone(tmp_path: Path) -> None:
    for gap in (b", ", b",\n"):
        data = b'[{"a": 0}' + gap + b'{"a": "two\nlines"}' + gap + b'{"a": 2}]'
        place = write(tmp_path, data)
        assert values_and_broken(elements(place)) == ([(0, {"a": 0}), (2, {"a": 2})], [1])


def test_a_broken_last_element_does_not_hide_the_end_of_the_array(tmp_path: Path) -> None:
    place = write(tmp_path, b'[\n  {"a": 0},\n  {"a": "x}\n]\n')
    assert values_and_broken(elements(place)) == ([(0, {"a": 0})], [1])
    assert faults(elements(place))[0].startswith("element at byte 13, character 12: broken JSON: ")


def test_an_element_that_shares_its_line_is_read_the_same_by_any_split(tmp_path: Path) -> None:
    data = b'[\n{"a": 0}, {"b": "x\n' + b" " * 10 + b'{"c": 1}\n]'
    place = write(tmp_path, data)
    assert (
        by_splits(place, len(data), 1)
        == values_and_broken(elements(place))
        == ([(0, {"a": 0})], [1])
    )


def test_invalid_utf8_breaks_one_element_whose_error_has_the_position(tmp_path: Path) -> None:
    place = write(tmp_path, b'["ok", "\xff\xfe", "too"]')
    assert values_and_broken(elements(place)) == ([(0, "ok"), (2, "too")], [1])
    assert faults(elements(place)) == ["the byte 0xff at position 8 is not UTF-8."]


def test_something_after_the_array_is_a_fault_and_is_not_read(tmp_path: Path) -> None:
    place = write(tmp_path, b"[1]\n[2]\n")
    assert values_and_broken(elements(place)) == ([(0, 1)], [1])
    assert faults(elements(place)) == [
        "more text follows the end of the JSON array, at byte 4: it is not read."
    ]


def test_anything_but_an_array_is_one_broken_element(tmp_path: Path) -> None:
    assert faults(elements(write(tmp_path, b' {"a": [1]}'))) == [
        "the data is not a JSON array: it starts with b'{\"a\": [1]}', at byte 1."
    ]
    assert faults(elements(write(tmp_path, b""))) == ["the file is empty or has only whitespace."]
    assert faults(elements(write(tmp_path, b" \n"))) == [
        "the file is empty or has only whitespace."
    ]


def test_deep_nesting_breaks_one_element(tmp_path: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    place = write(tmp_path, b"[1, " + deep + b', {"a": 2}]')
    assert values_and_broken(elements(place)) == ([(0, 1), (2, {"a": 2})], [1])


def test_a_truncated_compressed_file_ends_where_it_breaks(tmp_path: Path) -> None:
    data = json.dumps([{"n": n, "text": f"{n:x}" * 7} for n in range(5000)]).encode()
    place = write(tmp_path, gzip.compress(data)[:-2000], "a.json.gz")
    chunks.CHUNK_BYTES = 1 << 12
    values, broken = values_and_broken(elements(place))
    assert [n for n, _ in values] == list(range(len(values)))
    assert 1000 < len(values) < 5000
    assert broken == [len(values)]
    assert faults(elements(place))[0].startswith("the gzip file is broken: ")


def test_an_element_over_the_limit_fails_and_those_after_it_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "MAX_ELEMENT_BYTES", 1000)
    chunks.CHUNK_BYTES = 64
    place = write(tmp_path, b'[1, "' + b"x" * 2000 + b'", 3]')
    assert values_and_broken(elements(place)) == ([(0, 1), (2, 3)], [1])
    fault = (
        "the element has 2003 bytes, over the limit of 1000: its closing bracket may be missing."
    )
    assert faults(elements(place)) == [fault]
    remedy = " If the element is whole, raise media.max_row_bytes."
    assert faults(elements(place, limit=1000)) == [fault + remedy]
    assert values_and_broken(elements(place, limit=3000))[1] == []
    unclosed = write(tmp_path, b'[1, {"a": "' + b"x" * 2000)
    assert values_and_broken(elements(unclosed)) == ([(0, 1)], [1])


@given(
    array=st.lists(VALUES, max_size=8),
    indent=INDENTS,
    chunk=st.integers(1, 40),
    split_bytes=st.integers(1, 99),
    data=st.data(),
)
@HERE
def test_a_broken_array_gives_the_same_in_any_chunks_and_splits_and_always_a_fault(
    tmp_path: Path,
    array: list[Any],
    indent: int | str | None,
    chunk: int,
    split_bytes: int,
    data: st.DataObject,
) -> None:
    text = bytearray(laid_out(array, indent))
    at = data.draw(st.integers(0, len(text) - 1))
    edits = {
        "cut": b"",
        "drop": text[at + 1 :],
        "put": data.draw(st.sampled_from(list(b'"{}[],:\n\\x '))).to_bytes() + text[at:],
        "change": data.draw(st.integers(0, 255)).to_bytes() + text[at + 1 :],
    }
    text[at:] = edits[data.draw(st.sampled_from(sorted(edits)))]
    place = write(tmp_path, bytes(text))
    chunks.CHUNK_BYTES = 1 << 20
    found = values_and_broken(elements(place))
    try:
        is_whole = isinstance(json.loads(bytes(text)), list)
    except (ValueError, UnicodeDecodeError):
        is_whole = False
    assert is_whole or found[1]
    chunks.CHUNK_BYTES = chunk
    assert all(e.data in (b"", text[e.start : e.stop]) for e in elements(place))
    assert values_and_broken(elements(place)) == found
    assert by_splits(place, len(text), split_bytes) == found


def test_batches_are_bounded_in_rows_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH_ROWS", 4)
    monkeypatch.setattr(batching, "BATCH_BYTES", 50)
    place = write(tmp_path, json.dumps([1] * 9 + ["x" * 60] * 2).encode())
    assert [len(batch) for batch in batches(element_groups(place))] == [4, 4, 2, 1]


def test_memory_stays_flat_however_large_the_array(tmp_path: Path) -> None:
    place = write(tmp_path, b"[" + b",".join([b'{"text": "%s"}' % (b"x" * 985)] * 100_000) + b"]")
    next(elements(place))
    tracemalloc.start()
    try:
        assert sum(1 for _ in elements(place)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 40_000_000  # of a file of 100 MB
    finally:
        tracemalloc.stop()
