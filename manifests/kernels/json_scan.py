"""Finds the borders between elements of a JSON array, or between keys and values of a JSON object.

The function `scan` runs the state machine of `manifests.text.json_states` on the bytes of a file,
one buffer at a time.
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint8, uint64

from manifests.kernels.compiling import compiled, inlined
from manifests.text.json_states import (
    ARRAY_TABLE,
    ASCEND,
    AT,
    BREAK,
    COLUMN,
    DEPTH,
    DESCEND,
    DIVIDE,
    ENTER,
    INDENT,
    LEAVE,
    LINE,
    MARK,
    MOVE,
    NESTED,
    OBJECT_TABLE,
    OPENER,
    RESUME,
    STATE,
    STOP,
    STRING,
    TOP,
)

_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _SLASHES, _NEWLINES = (_ONES * np.uint64(byte) for byte in b'"\\\n')
_ONE, _56 = np.uint64(1), np.uint64(56)
_BYTES = types.Array(uint8, 1, "C", readonly=True)
_WORDS = types.Array(uint64, 1, "A", readonly=True, aligned=False)
_TABLE = types.Array(uint8, 2, "C")


def scan(data: bytes, memory: np.ndarray, is_array: bool, borders: np.ndarray) -> int:
    """Finds the borders between the elements of a JSON array, or between the keys and values of a
    JSON object, in the next bytes of a file. Returns how many borders these bytes contain.

    `memory`, made by `json_states.new_state`, is the state of the scan between two calls; it is
    changed in place. `is_array`: true for an array, false for an object. For each border, a row of
    `borders` becomes (end of an element, start of the next element), as positions in the file; the
    closing bracket is a border too. `borders` needs one row for each byte of `data`.

    Example: the bytes `1, "a"]` of an array, after `new_state(1)` -> 2, borders [[2, 3], [7, 8]].
    """
    view = np.frombuffer(data, np.uint8)
    words = np.ndarray((max(len(data) - 7, 0),), np.uint64, data, 0, (1,))
    table = ARRAY_TABLE if is_array else OBJECT_TABLE
    return int(_scan(view, words, table, memory, borders, ord("]" if is_array else "}")))


@inlined
def _plain_bytes(word: np.uint64) -> np.int64:
    """Returns how many of 8 bytes come before the first quote, backslash or newline: 0 to 8.

    Source: "Determine if a word has a byte equal to n", Bit Twiddling Hacks (Anderson).
    """
    quote, slash, newline = word ^ _QUOTES, word ^ _SLASHES, word ^ _NEWLINES
    hits = (quote - _ONES) & ~quote
    hits |= (slash - _ONES) & ~slash
    hits |= (newline - _ONES) & ~newline
    hits &= _TOPS
    if hits == 0:
        return np.int64(8)
    below = (hits & (~hits + _ONE)) - _ONE
    return np.int64(((below & _ONES) * _ONES) >> _56) - 1


@inlined
def _nest(action: int, state: int, depth: int) -> tuple[int, int]:
    """Returns the state and the number of open brackets (`depth`) after an opening bracket, a
    closing bracket or the end of a string. `action` is DESCEND, ASCEND or LEAVE, which are actions
    of `manifests.text.json_states`."""
    if action == DESCEND:
        return state, depth + 1
    if action == ASCEND:
        depth -= 1
    return NESTED if depth else TOP, depth


@inlined
def _note(action: int, memory: np.ndarray, byte: int, at: int) -> None:
    """Stores in `memory` what is known of `byte`, which is at position `at` of the file. If
    `action` is MARK, `byte` is a line break, and the position of the next line is stored. If it is
    ENTER or ENTER_STRING, `byte` is the first byte of an element, and the byte and its column are
    stored."""
    if action == MARK:
        memory[LINE] = at + 1
    else:
        memory[OPENER] = byte
        memory[COLUMN] = at - memory[LINE] if memory[LINE] >= 0 else -1


@inlined
def _can_resume(memory: np.ndarray, byte: int, at: int, end: int) -> bool:
    """Returns whether the scan of an array or object can go on after an element of broken JSON.
    `at` is a position in one of the next lines, and `byte` is the byte there: the first byte of the
    line after its indentation. The scan can go on in two cases:

    `byte` starts the next element: it is equal to the first byte of the broken element, and in the
    same column. Or `byte` is `end`, the closing bracket of the array or object, and in the same
    column as the start of the broken element or further to the left.
    """
    column = at - memory[LINE]
    if byte == end:
        return bool(column <= memory[COLUMN])
    return bool(byte == memory[OPENER] and column == memory[COLUMN])


@compiled(int64(_BYTES, _WORDS, _TABLE, int64[::1], int64[:, ::1], int64))
def _scan(
    data: np.ndarray,
    words: np.ndarray,
    table: np.ndarray,
    memory: np.ndarray,
    borders: np.ndarray,
    end: int,
) -> int:
    begin, state, depth = memory[AT], memory[STATE], memory[DEPTH]
    i, count, size = np.int64(0), np.int64(0), np.int64(len(data))
    while i < size:
        plain = np.int64(8)
        while state == STRING and plain == 8 and i < len(words):
            plain = _plain_bytes(words[i])
            i += plain
        while i < size and table[state, data[i]] == state:  # most bytes change no state
            i += 1
        if i >= size:
            break
        byte, at = np.int64(data[i]), begin + i
        step = np.int64(table[state, byte])
        state, action = step & 7, step >> 3
        if action == MOVE:
            pass
        elif action <= LEAVE:
            state, depth = _nest(action, state, depth)
        elif action <= MARK:
            _note(action, memory, byte, at)
            depth += action == ENTER
        elif action == DIVIDE:
            borders[count, 0], borders[count, 1] = at, at + 1
            count += 1
            memory[LINE] = memory[COLUMN] = -1
        elif action == BREAK and memory[COLUMN] >= 0:
            state, memory[LINE] = INDENT, at + 1
        elif action == RESUME and _can_resume(memory, byte, at, end):
            if byte != end:
                borders[count, 0] = borders[count, 1] = memory[LINE] - 1
                count += 1
            state, depth = TOP, np.int64(0)
            continue
        elif action == STOP:
            break
        i += 1
    memory[AT], memory[STATE], memory[DEPTH] = begin + i, state, depth
    return int(count)
