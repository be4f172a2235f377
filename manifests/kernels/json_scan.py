"""Where the elements of a JSON array, or the members of an object, end: one pass over the bytes.

A compiled state machine over strings, escapes and depth; nothing is parsed. It stops and goes on
at any byte, so a file of any size passes through a buffer of a few megabytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

AT, PHASE, DEPTH, LINE, COLUMN, OPENER = range(6)
"""What the state holds: the next byte; one of the phases below; brackets open in this element;
where the line began (-1: none since the last border); column and first byte of this element."""
INSIDE, STRING, ESCAPE, BROKEN, INDENT, CLOSED, SPOILED = range(7)
"""Outside strings; in one; after a backslash; in a line past a fault; at its next line's start;
after the closing bracket; and where something that is not blank follows it."""

_QUOTE, _OPEN, _CLOSE, _BORDER, _NEWLINE = range(1, 6)
_KINDS = np.zeros(256, np.uint8)
_KINDS[list(b'"{}[],:\n')] = [_QUOTE, _OPEN, _CLOSE, _OPEN, _CLOSE, _BORDER, _BORDER, _NEWLINE]

_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _SLASHES, _NEWLINES = (_ONES * np.uint64(byte) for byte in b'"\\\n')


def new_state(at: int) -> np.ndarray:
    """The state just after the opening bracket, or after a border."""
    return np.array([at, INSIDE, 0, -1, -1, 0], np.int64)


def scan(data: bytes, state: np.ndarray, array: bool, borders: np.ndarray) -> int:
    """Go on from `state`; `borders` gets (end of an element, start of the next) of each border.

    `borders` has a row for each byte of `data`. In an object a colon is a border too, so keys
    and values come in turns. Returns how many borders there are.
    """
    view = np.frombuffer(data, np.uint8)
    words = np.ndarray((max(len(data) - 7, 0),), np.uint64, data, 0, (1,))
    closer, colon = (ord("]"), ord(",")) if array else (ord("}"), ord(":"))
    return _compiled()(view, words, state, borders, closer, colon)


@functools.cache
def _compiled() -> Callable[..., int]:
    from numba import njit, types

    def read_only(dtype: Any, layout: str) -> Any:
        return types.Array(dtype, 1, layout, readonly=True, aligned=dtype is types.uint8)

    signature = types.int64(
        read_only(types.uint8, "C"), read_only(types.uint64, "A"),
        types.int64[::1], types.int64[:, ::1], types.int64, types.int64,
    )  # fmt: skip
    try:
        compiled: Callable[..., int] = njit(signature, cache=True, nogil=True)(_scan)
    except (RuntimeError, OSError):  # no folder where it could be kept
        compiled = njit(signature, nogil=True)(_scan)
    return compiled


def _scan(
    data: np.ndarray,
    words: np.ndarray,
    state: np.ndarray,
    borders: np.ndarray,
    closer: int,
    colon: int,
) -> int:
    base, phase, depth, line, column, opener = state
    count, i, size, wide = 0, np.int64(0), len(data), len(words)
    while i < size:
        if phase == STRING:
            while i < wide:  # eight bytes at a time up to a quote, backslash or newline
                word = words[i]
                quote, slash, newline = word ^ _QUOTES, word ^ _SLASHES, word ^ _NEWLINES
                hits = (quote - _ONES) & ~quote
                hits |= (slash - _ONES) & ~slash
                hits |= (newline - _ONES) & ~newline
                hits &= _TOPS
                if hits:
                    below = (hits & (~hits + np.uint64(1))) - np.uint64(1)
                    i += np.int64(((below & _ONES) * _ONES) >> np.uint64(56)) - 1
                    break
                i += 8
            if i >= size:
                break
            if data[i] == ord('"'):
                phase = INSIDE
            elif data[i] == ord("\\"):
                phase = ESCAPE
            elif data[i] == ord("\n") and column >= 0:
                # No JSON string holds a raw newline: a quote is missing or too many.
                phase, line = INDENT, base + i + 1
            i += 1
        elif phase == INSIDE:
            kind = _KINDS[data[i]]
            while kind == 0 and i + 1 < size:
                i += 1
                kind = _KINDS[data[i]]
            byte = data[i]
            if depth == 0 and 0 < kind <= _OPEN:
                opener = byte
                column = base + i - line if line >= 0 else -1
            if kind == _QUOTE:
                phase = STRING
            elif kind == _OPEN:
                depth += 1
            elif depth > 0:
                if kind == _CLOSE:
                    depth -= 1
            elif kind == _NEWLINE:
                line = base + i + 1
            elif byte == ord(",") or byte in (colon, closer):
                borders[count, 0], borders[count, 1] = base + i, base + i + 1
                count += 1
                line = column = -1
                if byte == closer:
                    phase = CLOSED
            i += 1
        elif phase == ESCAPE:
            phase = STRING
            i += 1
        elif phase == BROKEN:
            if data[i] == ord("\n"):
                phase, line = INDENT, base + i + 1
            i += 1
        elif phase == CLOSED:
            byte = data[i]
            if byte != ord(" ") and byte != ord("\n") and byte != ord("\t") and byte != ord("\r"):
                phase = SPOILED
                break
            i += 1
        else:  # INDENT: a line that starts as the broken element did starts the next one
            byte, here = data[i], base + i - line
            if byte == ord("\n"):
                line = base + i + 1
            elif byte != ord(" ") and byte != ord("\t") and byte != ord("\r"):
                phase = BROKEN
                if byte == closer and here <= column:
                    phase, depth = INSIDE, 0
                    continue
                if byte == opener and here == column:
                    phase, depth = INSIDE, 0
                    borders[count, 0] = borders[count, 1] = line - 1
                    count += 1
                    continue
            i += 1
    state[:] = base + i, phase, depth, line, column, opener
    return count
