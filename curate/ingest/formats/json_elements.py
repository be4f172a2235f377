"""JSON arrays of any size, an element at a time: streamed, and cut into splits, in flat memory.

The array is a file's own, or the value of a key of the object that the file holds. Elements are
told apart before any is parsed, so a broken one spoils neither those before it nor, where its
brackets balance or it stands on lines of its own, those after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import orjson

from curate.ingest.formats.chunks import read_chunks
from curate.ingest.formats.lines import BATCH_BYTES
from curate.ingest.reader import BATCH_ROWS
from manifests.errors import InputError, RowError
from manifests.kernels import json_scan as scanner

MAX_ELEMENT_BYTES = 64 << 20
"""A longer element fails (ours): a bracket is missing, and it would be held in memory whole."""
REPAIR = "Repair the file."
_BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class ByteRange(NamedTuple):
    """Bytes of a file; `stop` of -1: to its end."""

    start: int = 0
    stop: int = -1


WHOLE_FILE = ByteRange()


class Members(NamedTuple):
    """Where the values of an object lie, and what is wrong with the object, if anything."""

    ranges: dict[str, ByteRange]
    fault: str = ""


class Element(NamedTuple):
    """One element: its number from 0, where it lies, its bytes; or why it is not whole."""

    number: int
    start: int
    stop: int
    data: bytes
    fault: str = ""

    def value(self) -> Any:
        """The element parsed; of a key that comes twice the last counts. RowError if broken."""
        if self.fault:
            raise RowError(self.fault, fix=REPAIR)
        try:
            return orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            raise RowError(self._why(error), fix=REPAIR) from None

    def _why(self, error: orjson.JSONDecodeError) -> str:
        if not self.data.strip(_BLANKS):
            return f"nothing between two commas, at byte {self.start}."
        try:
            text = self.data.decode()
        except UnicodeDecodeError as wrong:
            at = self.start + wrong.start
            return f"0x{self.data[wrong.start]:02x} is not UTF-8, at byte {at}."
        return f"not JSON: {error.msg}, near {text[max(error.pos - 20, 0) :][:40]!r}."


def elements(place: str, start: int = 0, stop: int = -1, first: int = 0) -> Iterator[Element]:
    """The elements of the array whose bracket is at `start`, or of a split of one (`first` > 0).

    Where the array is no array, is not closed, or has something after it, that is one more
    element, the last, whose value raises RowError.
    """
    chunks = read_chunks(place, start, stop)
    if first == 0:
        try:
            start, chunks = after_bracket(chunks, start, b"[")
        except (RowError, InputError) as error:
            yield Element(0, start, start, b"", error.fault)
            return
    for element in _pieces(chunks, scanner.new_state(start), first, is_array=True):
        ends_at_border = element.fault and element.stop == stop  # as a split does
        if not ends_at_border:
            yield element
        elif element.start < stop:
            yield element._replace(fault="") if element.data else element


def batches(elements: Iterable[Element]) -> Iterator[list[Element]]:
    """BATCH_ROWS or BATCH_BYTES of elements at a time."""
    batch: list[Element] = []
    size_bytes = 0
    for element in elements:
        batch.append(element)
        size_bytes += len(element.data)
        if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def members(place: str) -> Members:
    """Where the values of the object that a file holds lie; of a key that comes twice, the first.

    The value that the end of the file cuts off has its fault told.
    """
    found: dict[str, ByteRange] = {}
    key, fault = "", ""
    try:
        for piece in _object_pieces(read_chunks(place)):
            if piece.number % 2 == 0:
                key = str(piece.value())
                fault = f"the key {key!r} comes twice." if key in found else fault
            else:
                found.setdefault(key, ByteRange(piece.start, -1 if piece.fault else piece.stop))
                fault = fault or piece.fault
    except (RowError, InputError) as error:
        fault = fault or error.fault
    return Members(found, fault)


def value_start(place: str, key: str) -> int | None:
    """Where the value of a key of a file's object starts; reads no further than the key."""
    for piece in _object_pieces(read_chunks(place)):
        if piece.number % 2 == 0 and piece.data.strip(_BLANKS) == orjson.dumps(key):
            return piece.stop + 1
    return None


def object_keys(data: bytes) -> list[str]:
    """The keys of the object that `data` starts with, as far as it goes; none if it is none."""
    try:
        pieces = [p for p in _object_pieces(iter([data])) if p.number % 2 == 0 and not p.fault]
        return [key for key in (piece.value() for piece in pieces) if isinstance(key, str)]
    except RowError:
        return []


def _object_pieces(chunks: Iterator[bytes]) -> Iterator[Element]:
    """Keys (even) and values (odd) in turns."""
    at, chunks = after_bracket(chunks, 0, b"{")
    yield from _pieces(chunks, scanner.new_state(at), 0, is_array=False)


def after_bracket(
    chunks: Iterator[bytes], start: int, bracket: bytes
) -> tuple[int, Iterator[bytes]]:
    """Step over blanks and the opening bracket: where that led, and the bytes from there."""
    at = start
    for chunk in chunks:
        body = (chunk.removeprefix(_BOM) if at == 0 else chunk).lstrip(_BLANKS)
        at += len(chunk) - len(body)
        if body.startswith(bracket):
            return at + 1, itertools.chain([body[1:]], chunks)
        if body:
            what = "array" if bracket == b"[" else "object"
            raise RowError(f"no JSON {what}: it starts with {body[:24]!r}, at byte {at}.")
    raise RowError("nothing but blanks.")


def _pieces(
    chunks: Iterator[bytes], state: np.ndarray, number: int, *, is_array: bool
) -> Iterator[Element]:
    """What lies between borders, from where `state` stands; a fault at the end is one more."""
    start, held = int(state[scanner.AT]), bytearray()  # held: what came of it in earlier chunks
    why = ""
    try:
        for chunk, begin, borders in scan_chunks(chunks, state, is_array=is_array):
            is_closed = state[scanner.PHASE] >= scanner.CLOSED
            for stop, following in borders.tolist():
                if start >= begin:
                    piece = Element(number, start, stop, chunk[start - begin : stop - begin])
                else:
                    whole = bytes(held) + chunk[: max(stop - begin, 0)]
                    piece = _limited(Element(number, start, stop, whole[: stop - start]), is_array)
                    del held[: following - start]
                start = following
                if number or len(borders) > 1 or not is_closed or piece.data.strip(_BLANKS):
                    yield piece
                    number += 1
            if begin + len(chunk) - start <= MAX_ELEMENT_BYTES:
                held += chunk[max(start - begin, 0) :]
    except InputError as error:
        why = error.fault
    last = _limited(Element(number, start, int(state[scanner.AT]), bytes(held)), is_array)
    yield from [last] if last.fault else _ending(state, last, why, is_array=is_array)


def _limited(element: Element, is_array: bool) -> Element:
    """One that is too long without its bytes: a fault in an array, while the values of an object
    are arrays themselves, and only asked where they lie."""
    size = element.stop - element.start
    if size <= MAX_ELEMENT_BYTES:
        return element
    if not is_array:
        return element._replace(data=b"")
    fault = f"{size} bytes is over the limit of {MAX_ELEMENT_BYTES}: a bracket may be missing."
    return element._replace(data=b"", fault=fault)


def _ending(state: np.ndarray, last: Element, broken: str, *, is_array: bool) -> Iterator[Element]:
    """What is wrong with the end: something after the closing bracket, or no such bracket."""
    at, phase, depth = (int(n) for n in state[[scanner.AT, scanner.PHASE, scanner.DEPTH]])
    what = "array" if is_array else "object"
    if phase == scanner.SPOILED:
        fault = f"something follows the {what}, at byte {at}: it is not read."
        yield Element(last.number, at, at, b"", fault)
    elif phase != scanner.CLOSED:
        rest = last.data.rstrip(_BLANKS)
        if phase == scanner.INSIDE and depth == 0 and rest.endswith((b"}", b"]", b'"')):
            yield last
            last, rest = Element(last.number + 1, at, at, b""), b""
        where = "inside this element" if rest else f"before the {what} does"
        yield last._replace(fault=f"{broken or 'the file ends'} {where}, at byte {at}.")
    elif broken:
        yield Element(last.number, at, at, b"", f"{broken}, at byte {at}.")


def scan_chunks(
    chunks: Iterable[bytes], state: np.ndarray, *, is_array: bool
) -> Iterator[tuple[bytes, int, np.ndarray]]:
    """Each chunk, its place, and the borders in it (they are overwritten by the next chunk's)."""
    borders = np.empty((0, 2), np.int64)
    for chunk in chunks:
        begin = int(state[scanner.AT])
        if len(chunk) > len(borders):
            borders = np.empty((len(chunk), 2), np.int64)
        yield chunk, begin, borders[: scanner.scan(chunk, state, is_array, borders)]
        if state[scanner.PHASE] == scanner.SPOILED:
            return


def is_array(place: str) -> bool:
    """Whether a file holds one JSON array, rather than lines (each of which may be an array)."""
    try:
        start = next(read_chunks(place), b"").lstrip(_BLANKS)
    except InputError:  # the lines will say what is wrong
        return False
    first, _, rest = start.partition(b"\n")
    return start.startswith(b"[") and not (rest.strip() and _is_json(first))


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
