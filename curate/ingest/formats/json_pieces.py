"""Splits a stream of chunks into the elements of a JSON array or object. Only one element is in
memory."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from manifests.errors import InputError, RowError
from manifests.text.json_states import AT, CLOSED, SPOILED, STATE, TOP, new_state
from manifests.text.json_values import error_in, parse_json

MAX_ELEMENT_BYTES = 64 << 20
"""Largest size of an element, unless the caller sets another limit (our choice). A larger one is an
error: its closing bracket is probably missing, and the rest of the file would fill the memory."""
REPAIR = "Correct the JSON in the file."
BLANKS = b" \t\r\n"


class Element(NamedTuple):
    """One element of an array or object: its bytes, and their range `start` to `stop` in the file.

    `number` is the element's index in the array, from 0. `fault` is an error message if the element
    is cut off or too long, or if there is no element but other text at this position; `data` may
    then be incomplete.
    """

    number: int
    start: int
    stop: int
    data: bytes
    fault: str = ""

    def value(self) -> Any:
        """Returns the parsed element. Raises RowError if the element has a fault or is not valid
        JSON."""
        if self.fault:
            raise RowError(self.fault, fix=REPAIR)
        try:
            return parse_json(self.data)
        except RowError as error:
            if not self.data.strip(BLANKS):
                fault = (
                    f"the element at byte {self.start} is empty: the JSON has one comma too many."
                )
                raise RowError(fault, fix=REPAIR) from None
            raise self._placed(error) from None

    def _placed(self, error: RowError) -> RowError:
        try:
            self.data.decode()
        except UnicodeDecodeError as wrong:
            at = self.start + wrong.start
            fault = f"the byte 0x{self.data[wrong.start]:02x} at position {at} is not UTF-8."
            return RowError(fault, fix=error.fix)
        return error_in(f"element at byte {self.start}", error)


def after_bracket(
    chunks: Iterator[bytes], start: int, bracket: bytes
) -> tuple[int, Iterator[bytes]]:
    """Skips the opening bracket. Returns the position after the bracket, and the chunks from this
    position on.

    `start` is the position of the first chunk. Raises RowError if anything except whitespace and a
    byte order mark comes before the bracket.
    """
    at = start
    for chunk in chunks:
        body = (chunk.removeprefix(codecs.BOM_UTF8) if at == 0 else chunk).lstrip(BLANKS)
        at += len(chunk) - len(body)
        if body.startswith(bracket):
            return at + 1, itertools.chain([body[1:]], chunks)
        if body:
            kind = "array" if bracket == b"[" else "object"
            raise RowError(
                f"the data is not a JSON {kind}: it starts with {body[:24]!r}, at byte {at}."
            )
    raise RowError("the file is empty or has only whitespace.")


def pieces(
    chunks: Iterator[bytes],
    start: int,
    number: int,
    *,
    is_array: bool,
    limit: int | None = None,
) -> Iterator[list[Element]]:
    """Yields the elements of an array, or the keys and values of an object (key, value, key, value,
    ...). Yields one list for each chunk, with the elements that end in this chunk.

    `start` is the position of the first chunk: after the opening bracket, or after a comma at which
    the array was cut. `number` is the index of the first element after this position. If the array
    or object does not end properly, or the file cannot be read to its end, one more element with a
    fault is yielded at the end. `limit` is the largest size of an element in bytes; None:
    MAX_ELEMENT_BYTES.
    """
    most = MAX_ELEMENT_BYTES if limit is None else limit
    memory = new_state(start)
    held = bytearray()  # bytes of the current element from earlier chunks
    broken = ""
    try:
        for chunk, begin, borders in scan_chunks(chunks, memory, is_array=is_array):
            is_closed, found = memory[STATE] >= CLOSED, list[Element]()
            for stop, following in borders.tolist():
                if start >= begin:
                    piece = Element(number, start, stop, chunk[start - begin : stop - begin])
                else:
                    data = bytes(held) + chunk[: max(stop - begin, 0)]
                    piece = _limited(
                        Element(number, start, stop, data[: stop - start]), is_array, limit
                    )
                    del held[: following - start]
                start = following
                if number or len(borders) > 1 or not is_closed or piece.data.strip(BLANKS):
                    found.append(piece)
                    number += 1
            if begin + len(chunk) - start <= most:
                held += chunk[max(start - begin, 0) :]
            yield found
    except InputError as error:
        broken = error.fault
    last = _limited(Element(number, start, int(memory[AT]), bytes(held)), is_array, limit)
    yield [last] if last.fault else list(_ending(int(memory[STATE]), last, broken, is_array))


def _limited(element: Element, is_array: bool, limit: int | None) -> Element:
    """Removes the bytes of an element that is larger than `limit` bytes (None: MAX_ELEMENT_BYTES);
    returns any other element unchanged.

    In an array, an element over the limit gets a fault. In an object, an element over the limit
    gets no fault, because a value of the object may be an array that is almost as long as the file,
    and only the byte range of the value is needed.
    """
    size, most = element.stop - element.start, MAX_ELEMENT_BYTES if limit is None else limit
    if size <= most:
        return element
    if not is_array:
        return element._replace(data=b"")
    fault = (
        f"the element has {size} bytes, over the limit of {most}: its closing bracket may be "
        "missing."
    )
    if limit is not None:  # the limit is a setting
        fault += " If the element is whole, raise media.max_row_bytes."
    return element._replace(data=b"", fault=fault)


def _ending(state: int, last: Element, broken: str, is_array: bool) -> Iterator[Element]:
    """Checks the end of the array or object. Yields an element with a fault if the closing bracket
    is missing, if other data follows the bracket, or if an error stopped reading after the bracket;
    otherwise yields nothing. If the bracket is missing after a complete object, array or text, this
    last element is yielded first.

    `state` is the state of the scanner at the end, such as CLOSED. `last` has the bytes after the
    last comma. `broken` is the message of the error that stopped reading, or empty.
    """
    at, kind = last.stop, "array" if is_array else "object"
    if state == SPOILED:
        fault = f"more text follows the end of the JSON {kind}, at byte {at}: it is not read."
        yield Element(last.number, at, at, b"", fault)
    elif state != CLOSED:
        rest = last.data.rstrip(BLANKS)
        if state == TOP and rest.endswith((b"}", b"]", b'"')):
            yield last
            last, rest = Element(last.number + 1, at, at, b""), b""
        where = "inside this element" if rest else f"before the {kind} is closed"
        yield last._replace(fault=f"{broken or 'the file ends'} {where}, at byte {at}.")
    elif broken:
        yield Element(last.number, at, at, b"", f"{broken}, at byte {at}.")


def scan_chunks(
    chunks: Iterable[bytes], memory: np.ndarray, *, is_array: bool
) -> Iterator[tuple[bytes, int, np.ndarray]]:
    """Yields (chunk, position of the chunk in the file, borders in the chunk) for each chunk of an
    array or object. A border is a comma between two elements (in an object, also a colon between
    key and value).

    `borders` is int64 of shape (n, 2): for each border, the positions in the file at which one
    element ends and the next element starts. The array `borders` is overwritten when the next chunk
    is scanned. `memory` is the state of the scanner, from `new_state`; the scanner changes it with
    each chunk.
    """
    from manifests.kernels.json_scan import scan  # imports numba

    borders = np.empty((0, 2), np.int64)
    for chunk in chunks:
        begin = int(memory[AT])
        if len(chunk) > len(borders):
            borders = np.empty((len(chunk), 2), np.int64)
        yield chunk, begin, borders[: scan(chunk, memory, is_array, borders)]
        if memory[STATE] == SPOILED:
            return
