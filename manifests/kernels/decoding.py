"""Decodes UTF-8 to code points; called by compiled loops."""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.text.code_points import CODE_POINTS

_NOT_A_CHARACTER = 0xFFFD


@inlined
def decode(data: np.ndarray, points: np.ndarray) -> int:
    """Decodes a text from UTF-8 (`data`) and writes its code points into `points`. Returns how many
    code points there are.

    "aé" -> 2, with points 0x61, 0xE9. The text must be UTF-8: other bytes give U+FFFD or any code
    point.
    """
    every_bit = np.uint8(0)
    for byte in data:
        every_bit |= byte
    if every_bit < 0x80:
        for i in range(len(data)):
            points[i] = data[i]
        return len(data)
    length, at = 0, 0
    while at < len(data):
        points[length], size = _code_point(data, at)
        length += 1
        at += size
    return length


@inlined
def _code_point(data: np.ndarray, at: int) -> tuple[np.uint32, int]:
    """Returns the code point that starts at byte `at`, and its size in bytes."""
    first = np.uint32(data[at])
    size = int(1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0))
    if first < 0x80:
        return first, 1
    if size == 1 or at + size > len(data):
        return np.uint32(_NOT_A_CHARACTER), 1
    code = first & np.uint32(0x7F >> size)
    for i in range(1, size):
        code = code << np.uint32(6) | np.uint32(data[at + i] & 0x3F)
    return min(np.uint32(code), np.uint32(CODE_POINTS - 1)), size
