"""A state machine that finds where the elements of a JSON array or object end.

Its input is bytes, one at a time; its memory is an array of six numbers. It tracks strings,
escapes and the depth of brackets, and parses nothing. `TRANSITIONS` has, for each state and class
of byte, the next state and an action; `manifests.kernels.json_scan` runs it.
"""

from __future__ import annotations

import numpy as np

AT, STATE, DEPTH, LINE, COLUMN, OPENER = range(6)
"""The numbers in memory: position of the next byte; one of the states below; open brackets;
start of the current line (-1: no newline between elements since the last border); column, and
first byte, of the current element."""

TOP, NESTED, STRING, ESCAPE, BROKEN, INDENT, CLOSED, SPOILED = range(8)
"""Between or directly in an element, with no bracket open; inside brackets; inside a string; after
a backslash in a string; in a line after a fault; in the indentation of a later line; after the
closing bracket; after something else that follows the closing bracket."""

OTHER, BLANK, NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE, END, BORDER = range(9)
"""Classes of bytes. END is the closing bracket of the array or object itself; BORDER is a comma,
and in an object also a colon, so that keys and values take turns."""

MOVE, DESCEND, ASCEND, LEAVE, ENTER, ENTER_STRING, MARK, DIVIDE, BREAK, RESUME, STOP = range(11)
"""The actions, taken in addition to moving to the next state:

MOVE: nothing.
DESCEND, ASCEND: one open bracket more, or one fewer; at depth 0 the next state is TOP.
LEAVE: a string ends; the next state is TOP at depth 0, and NESTED otherwise.
ENTER, ENTER_STRING: the element starts with this bracket, or quote; note the byte and its column.
MARK: note that the next byte starts a line.
DIVIDE: note a border: the element ends before this byte, and the next starts after it.
BREAK: a newline in a string. JSON has none, so a quote is missing or too many: if the column of
the element is known, the next state is INDENT.
RESUME: if this byte can end the array or start its next element, read it again in state TOP.
STOP: leave this byte unread.
"""

TRANSITIONS: dict[int, dict[int, tuple[int, int]]] = {
    TOP: {
        NEWLINE: (TOP, MARK),
        QUOTE: (STRING, ENTER_STRING),
        OPEN: (NESTED, ENTER),
        BORDER: (TOP, DIVIDE),
        END: (CLOSED, DIVIDE),
    },
    NESTED: {
        QUOTE: (STRING, MOVE),
        OPEN: (NESTED, DESCEND),
        CLOSE: (NESTED, ASCEND),
        END: (NESTED, ASCEND),
    },
    STRING: {
        QUOTE: (NESTED, LEAVE),
        BACKSLASH: (ESCAPE, MOVE),
        NEWLINE: (STRING, BREAK),
    },
    ESCAPE: dict.fromkeys(range(9), (STRING, MOVE)),
    BROKEN: {NEWLINE: (INDENT, MARK)},
    INDENT: dict.fromkeys(range(9), (BROKEN, RESUME))
    | {BLANK: (INDENT, MOVE), NEWLINE: (INDENT, MARK)},
    CLOSED: dict.fromkeys(range(9), (SPOILED, STOP))
    | {BLANK: (CLOSED, MOVE), NEWLINE: (CLOSED, MOVE)},
    SPOILED: {},
}
"""(next state, action) by state and class of byte. A class that a state does not list changes
nothing: the state stays."""


def _classes(end: str, borders: str) -> np.ndarray:
    """The class (OTHER, BLANK, ...) of each of the 256 byte values."""
    classes = np.full(256, OTHER, np.uint8)
    members = {BLANK: " \t\r", NEWLINE: "\n", QUOTE: '"', BACKSLASH: "\\", OPEN: "{[",
               CLOSE: "}]", END: end, BORDER: borders}  # fmt: skip
    for kind, characters in members.items():
        classes[list(characters.encode())] = kind
    return classes


def _table(classes: np.ndarray) -> np.ndarray:
    """`TRANSITIONS` by state and byte, uint8 [8, 256]: next state in bits 0-2, action above."""
    table = np.repeat(np.arange(8, dtype=np.uint8)[:, None], 256, axis=1)
    for state, row in TRANSITIONS.items():
        for kind, (following, action) in row.items():
            table[state, classes == kind] = following | action << 3
    return table


ARRAY_TABLE = _table(_classes("]", ","))
OBJECT_TABLE = _table(_classes("}", ",:"))


def new_state(at: int) -> np.ndarray:
    """The memory of a scan that starts at position `at`, after an opening bracket or a border:
    int64, 6 numbers."""
    return np.array([at, TOP, 0, -1, -1, 0], np.int64)
