"""Counts the elements of a JSON array by the commas between them.

It checks what the readers find, so it shares no code with the scanner that they use, `json_scan`.
It tracks strings and the depth of brackets. Where the JSON is damaged, it does not count, but
reports the damage.
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint8

from manifests.kernels.compiling import compiled

COMMAS, DEPTH, PLACE, HAS_CONTENT = range(4)
"""Indices of the numbers in memory. COMMAS: commas between elements so far. DEPTH: open brackets,
including that of the array itself; 0 after it is closed. PLACE: one of the four constants below.
HAS_CONTENT: whether anything but whitespace followed the last comma."""
PLAIN, IN_STRING, IN_ESCAPE, IS_DAMAGED = range(4)
"""Values of PLACE: where the next byte is. IS_DAMAGED: in a string with a newline, after a bracket
that closes nothing, or after the end of the array; from there on, commas are not counted
reliably."""
_BYTES = types.Array(uint8, 1, "C", readonly=True)


def new_count() -> np.ndarray:
    """Returns the memory of a count that starts after an array's opening bracket or after a comma:
    int64, 4 numbers."""
    return np.array([0, 1, PLAIN, 0], np.int64)


def count(data: bytes, memory: np.ndarray) -> None:
    """Continues the count with the next bytes of a file; `memory` is changed in place.

    `new_count()` and `b'1, [2, 3]]'` -> COMMAS 1, DEPTH 0.
    """
    _count(np.frombuffer(data, np.uint8), memory)


@compiled(types.void(_BYTES, int64[::1]))
def _count(data: np.ndarray, memory: np.ndarray) -> None:
    commas, depth, place, has_content = memory[0], memory[1], memory[2], memory[3]
    for byte in data:
        if place == IN_STRING:
            if byte == ord('"'):
                place = PLAIN
            elif byte == ord("\\"):
                place = IN_ESCAPE
            elif byte == ord("\n"):
                place = IS_DAMAGED
        elif place == IN_ESCAPE:
            place = IN_STRING
        elif place == IS_DAMAGED or byte in (32, 9, 10, 13):
            continue
        elif depth == 0 or (depth == 1 and byte == ord("}")):
            place = IS_DAMAGED
        elif byte == ord(",") and depth == 1:
            commas += 1
            has_content = 0
        elif byte in (ord("]"), ord("}")):
            depth -= 1
        else:
            has_content = 1
            depth += byte in (ord("["), ord("{"))
            place = IN_STRING if byte == ord('"') else PLAIN
    memory[0], memory[1], memory[2], memory[3] = commas, depth, place, has_content
