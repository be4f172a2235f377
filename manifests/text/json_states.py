"""A state machine that finds where the elements of a JSON array or object end.

The state machine reads one byte at a time, and its memory is an array of six numbers. It tracks
strings, escapes and the depth of brackets, but it does not parse values. `TRANSITIONS` has, for
each state and each class of byte, the next state and an action. `manifests.kernels.json_scan` runs
the state machine.
"""

from __future__ import annotations

import numpy as np

AT, STATE, DEPTH, LINE, COLUMN, OPENER = range(6)
"""Indexes of the six numbers in the memory of the state machine. AT: position of the next byte.
STATE: a state from the list below. DEPTH: number of open brackets inside the array or object. LINE:
start of the current line; -1 if no newline between elements has occurred since the last border.
COLUMN, OPENER: column and first byte of the current element."""

TOP, NESTED, STRING, ESCAPE, BROKEN, INDENT, CLOSED, SPOILED = range(8)
"""The states. TOP: between elements, or in an element and not inside its brackets. NESTED: inside
brackets. STRING: inside a string. ESCAPE: after a backslash in a string. BROKEN: in a line after a
fault. INDENT: in the indentation of a later line. CLOSED: after the closing bracket. SPOILED: other
bytes than whitespace follow the closing bracket."""

OTHER, BLANK, NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE, END, BORDER = range(9)
"""Classes of bytes. END is the closing bracket of the array or object itself. BORDER is a comma; in
an object a colon is a BORDER too, so keys and values alternate."""

MOVE, DESCEND, ASCEND, LEAVE, ENTER, ENTER_STRING, MARK, DIVIDE, BREAK, RESUME, STOP = range(11)
"""The actions. Each action is done in addition to the change of state:

MOVE: no action.
DESCEND, ASCEND: increase or decrease the depth by 1. At depth 0 the next state is TOP.
LEAVE: a string ends. The next state is TOP at depth 0, and NESTED otherwise.
ENTER, ENTER_STRING: the element starts with this bracket or quote. Store the byte and its column.
MARK: store that the next byte starts a line.
DIVIDE: store a border. The element ends before this byte, and the next element starts after it.
BREAK: a newline in a string. JSON does not allow it, so there is a quote too few or too many. If
the column of the element is known, the next state is INDENT.
RESUME: if this byte can end the array or start its next element, read it again in state TOP.
STOP: do not read this byte.
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
"""(next state, action) by state and class of byte. If a state does not list a class, the state does
not change and there is no action."""


def _classes(end: str, borders: str) -> np.ndarray:
    """Returns the class (OTHER, BLANK, ...) of each of the 256 byte values. `end` is the bracket
    that closes the array or object; `borders` are the characters between its elements: "," in an
    array, ",:" in an object."""
    classes = np.full(256, OTHER, np.uint8)
    members = {BLANK: " \t\r", NEWLINE: "\n", QUOTE: '"', BACKSLASH: "\\", OPEN: "{[",
               CLOSE: "}]", END: end, BORDER: borders}  # fmt: skip
    for kind, characters in members.items():
        classes[list(characters.encode())] = kind
    return classes


def _table(classes: np.ndarray) -> np.ndarray:
    """Returns (8, 256) uint8: the transition for each of the 8 states and each value of a byte.
    Bits 0 to 2 are the next state, the higher bits are the action. `classes` has the class of each
    byte value."""
    table = np.repeat(np.arange(8, dtype=np.uint8)[:, None], 256, axis=1)
    for state, row in TRANSITIONS.items():
        for kind, (following, action) in row.items():
            table[state, classes == kind] = following | action << 3
    return table


ARRAY_TABLE = _table(_classes("]", ","))
OBJECT_TABLE = _table(_classes("}", ",:"))


def new_state(at: int) -> np.ndarray:
    """Returns the memory of the state machine at its start: int64, 6 numbers. `at`: the position in
    the file of the first byte to be read, which follows an opening bracket or a border between
    elements."""
    return np.array([at, TOP, 0, -1, -1, 0], np.int64)
