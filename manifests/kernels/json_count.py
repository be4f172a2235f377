"""Counts the elements of a JSON array by the commas between them.

The result is compared with the number of elements that a reader found. So this module shares no
code with `json_scan`, which the readers use. It tracks strings and the depth of brackets. If the
JSON is damaged, this module stops counting and reports the damage.
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint8

from manifests.kernels.compiling import compiled

COMMAS, DEPTH, PLACE, HAS_CONTENT = range(4)
"""Indexes of the four numbers that are the state of a count. COMMAS: the number of commas between
elements so far. DEPTH: the number of open brackets, including that of the array itself; 0 after the
array is closed. PLACE: one of the four constants below. HAS_CONTENT: 1 if anything but whitespace
followed the last comma, otherwise 0."""
PLAIN, IN_STRING, IN_ESCAPE, IS_DAMAGED = range(4)
"""The values of PLACE, which is where the next byte is: outside strings, in a string, after a
backslash in a string, or in damaged JSON. IS_DAMAGED: a string has a newline, a bracket closes
nothing, or something follows the end of the array; from there on, commas are not counted."""
_BYTES = types.Array(uint8, 1, "C", readonly=True)


def new_count() -> np.ndarray:
    """Returns the initial state for counting the elements of a JSON array: int64, the four numbers
    COMMAS, DEPTH, PLACE and HAS_CONTENT. The first byte to be counted must follow the array's
    opening bracket or a comma between two elements."""
    return np.array([0, 1, PLAIN, 0], np.int64)


def count(data: bytes, memory: np.ndarray) -> None:
    """Counts the commas between the elements of a JSON array, in the next bytes of the array.
    `memory`, made by `new_count`, is the state of the count between two calls; it is changed in
    place.

    `b'1, [2, 3]]'` after `new_count()` -> memory[COMMAS] is 1, memory[DEPTH] is 0.
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
