"""Reads JSON arrays of any size one element at a time, and finds the arrays inside a JSON object.

The commas between elements are found before any element is parsed, so all elements before a broken
element can be read. The elements after a broken element can be read too, if the brackets of the
broken element balance, or if no other element is on the same lines.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import orjson

from curate.ingest.formats.batching import in_batches
from curate.ingest.formats.chunks import read_chunks
from curate.ingest.formats.json_pieces import (
    BLANKS,
    Element,
    after_bracket,
    pieces,
)
from curate.ingest.reader import Count
from manifests.errors import InputError, RowError


class ByteRange(NamedTuple):
    """A byte range of a file, from `start` to `stop` (exclusive). If `stop` is -1, the range ends
    at the end of the file."""

    start: int = 0
    stop: int = -1


WHOLE_FILE = ByteRange()


class Members(NamedTuple):
    """`ranges` has the byte range of each value of a JSON object, by key. `fault` is the error in
    the object, or empty. `broken` has the errors of values that are not JSON, by key."""

    ranges: dict[str, ByteRange]
    fault: str
    broken: dict[str, RowError]


def elements(
    place: str, start: int = 0, stop: int = -1, first: int = 0, limit: int | None = None
) -> Iterator[Element]:
    """Yields the elements of an array one by one; the parameters are those of `element_groups`."""
    return chain.from_iterable(element_groups(place, start, stop, first, limit))


def element_groups(
    place: str, start: int = 0, stop: int = -1, first: int = 0, limit: int | None = None
) -> Iterator[list[Element]]:
    """Yields the elements of an array, in one list for each chunk of the file. If `first` is 0,
    `start` is the position of the array's opening bracket. If `first` is above 0, reading starts
    inside the array: `start` is the position of an element, and `first` is the index of this
    element. Reading ends at byte `stop` (-1: the end of the array).

    `[1, {"a": 2}]` gives elements 0 and 1, with the data `1` and ` {"a": 2}`. If the array is
    missing or not closed, or if other data follows the array, one more element is yielded at the
    end; the method `value` of this element raises a RowError. An element of more than `limit` bytes
    (None: MAX_ELEMENT_BYTES) has a fault, and is never completely in memory.
    """
    chunks = read_chunks(place, start, stop)
    if first == 0:
        try:
            start, chunks = after_bracket(chunks, start, b"[")
        except (RowError, InputError) as error:
            yield [Element(0, start, start, b"", error.fault)]
            return
    for found in pieces(chunks, start, first, is_array=True, limit=limit):
        if found and found[-1].fault and found[-1].stop == stop:  # in a split, this is not a fault
            last = found.pop()
            if last.start < stop:
                found.append(last._replace(fault="") if last.data else last)
        yield found


def count_elements(place: str, start: int = 0, stop: int = -1, first: int = 0) -> Count:
    """Returns the number of elements that `elements` yields for the same arguments. The commas
    between the elements are counted; no element is parsed.

    A separate scanner counts the commas (`kernels.json_count`). In a damaged array, the commas may
    be wrong, so the elements that `elements` yields are counted instead; whatever is broken at the
    end of the array counts as one element.
    """
    found = _count_commas(place, start, stop, first)
    if found is not None:
        return Count("elements", found)
    number, is_whole = 0, True
    for element in elements(place, start, stop, first):
        number, is_whole = number + 1, not element.fault
    return Count("elements", number, is_whole=is_whole)


def _count_commas(place: str, start: int, stop: int, first: int) -> int | None:
    """Returns the number of elements of an array, found by counting the commas between the
    elements; None if the array is damaged. The parameters are those of `element_groups`."""
    from manifests.kernels import json_count  # imports numba

    chunks, memory = read_chunks(place, start, stop), json_count.new_count()
    try:
        if first == 0:
            _, chunks = after_bracket(chunks, start, b"[")
        for chunk in chunks:
            json_count.count(chunk, memory)
    except (RowError, InputError):
        return None
    commas, depth, where, has_content = map(int, memory)
    if where != json_count.PLAIN or depth > 1 or (depth == 1 and (stop < 0 or has_content)):
        return None
    is_last = depth == 0 and (commas > 0 or first > 0 or has_content)
    return commas + bool(is_last)


def batches(groups: Iterable[list[Element]]) -> Iterator[list[Element]]:
    """Yields the elements of all groups in batches of limited size."""
    return in_batches(groups, lambda group: sum(len(element.data) for element in group))


def members(place: str, read: Collection[str] | None = None) -> Members:
    """Finds the byte range of each value of the JSON object in a file. If a key occurs twice, the
    result has the range of its first value, and a fault.

    `{"a": [1], "b": 2}` -> ranges `a`: 5 to 9, `b`: 15 to 17. If the file ends inside a value, the
    value's range ends at the end of the file, and the result has a fault.

    `read` has the keys of the arrays that the caller parses. If `read` is not None, this function
    parses the values of all other keys to find broken values. If a value has more than
    MAX_ELEMENT_BYTES, only its strings and brackets are checked.
    """
    ranges: dict[str, ByteRange] = {}
    broken: dict[str, RowError] = {}
    key, fault = "", ""
    try:
        for piece, border in _bordered_pieces(place):
            if piece.number % 2 == 0:
                found = piece.value()
                if not isinstance(found, str):
                    fault = fault or f"the key at byte {piece.start} is {found!r:.80}, not text."
                key = str(found)
                fault = f"the key {key!r} occurs twice." if key in ranges else fault
            else:
                ranges.setdefault(key, ByteRange(piece.start, -1 if piece.fault else piece.stop))
                fault = fault or piece.fault
                if read is not None and key not in read and piece.data and not piece.fault:
                    broken |= _broken(key, piece)
            if border not in (b"", b":" if piece.number % 2 == 0 else b",", b"}"):
                text = border.decode()
                fault = fault or f"a {text!r} is in the wrong place, at byte {piece.stop}."
    except (RowError, InputError) as error:
        fault = fault or error.fault
    return Members(ranges, fault, broken)


def _broken(key: str, value: Element) -> dict[str, RowError]:
    """Returns the error in the value of a key, by key; an empty dict if the value is JSON."""
    try:
        value.value()
    except RowError as error:
        return {key: error}
    return {}


def _bordered_pieces(place: str) -> Iterator[tuple[Element, bytes]]:
    """Yields the keys and values of the JSON object in a file, each with the byte that follows it:
    `:`, `,` or `}`. The byte is empty if it cannot be read, for example after the last value of a
    broken object."""
    start, chunks = after_bracket(read_chunks(place), 0, b"{")
    chunk, begin = b"", start

    def watched() -> Iterator[bytes]:
        nonlocal chunk, begin
        for following in chunks:
            begin += len(chunk)
            chunk = following
            yield chunk

    for found in pieces(watched(), start, 0, is_array=False):
        for piece in found:
            at = piece.stop - begin
            yield piece, b"" if piece.fault or at < 0 else chunk[at : at + 1]


def value_start(place: str, key: str) -> int | None:
    """Returns the byte position of the value of `key` in the JSON object of a file; None if the
    object does not have the key. The file is read only up to the key. Raises RowError if the file
    is not a JSON object."""
    for piece in _object_pieces(read_chunks(place)):
        if piece.number % 2 == 0 and piece.data.strip(BLANKS) == orjson.dumps(key):
            return piece.stop + 1
    return None


def object_keys(data: bytes) -> list[str]:
    """The keys of the JSON object at the start of `data`. The object may be cut off at the end of
    `data`.

    `{"a": [1, 2], "b": [3` -> `["a", "b"]`
    """
    try:
        keys = [p for p in _object_pieces(iter([data])) if p.number % 2 == 0 and not p.fault]
        return [key for key in (piece.value() for piece in keys) if isinstance(key, str)]
    except RowError:
        return []


def _object_pieces(chunks: Iterator[bytes]) -> Iterator[Element]:
    """Yields the keys and the values of a JSON object in the order of the file, as elements with
    the numbers 0, 1, 2, ...: `{"a": 7, "b": 8}` -> `"a"`, `7`, `"b"`, `8`."""
    start, chunks = after_bracket(chunks, 0, b"{")
    yield from chain.from_iterable(pieces(chunks, start, 0, is_array=False))


def is_array(place: str) -> bool:
    """Whether a file is one JSON array. The result is false for JSON lines, even if each line is an
    array."""
    try:
        start = next(read_chunks(place), b"").lstrip(codecs.BOM_UTF8 + BLANKS)
    except InputError:  # the error is reported when the lines are read
        return False
    first, _, rest = start.partition(b"\n")
    return start.startswith(b"[") and not (rest.strip() and _is_json(first))


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
