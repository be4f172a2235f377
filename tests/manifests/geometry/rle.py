"""Masks in COCO's RLE, written in plain Python, for tests."""

from __future__ import annotations

import json

import numpy as np


def run_lengths(mask: np.ndarray) -> list[int]:
    """Of a mask (rows, columns): pixels outside and inside in turn, down the columns."""
    counts, inside = [0], False
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != inside:
            counts.append(0)
            inside = pixel
        counts[-1] += 1
    return counts


def compress(counts: list[int]) -> str:
    """COCO's text of run lengths, one digit after the other."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            digit, value = value & 31, value >> 5
            done = value == (-1 if digit & 16 else 0)
            text += chr(digit + (0 if done else 32) + 48)
            if done:
                break
    return text


def attributes(mask: np.ndarray, compressed: bool = False) -> str:
    """An object's `attributes` with this mask."""
    counts = run_lengths(mask)
    written = compress(counts) if compressed else counts
    return json.dumps({"rle": {"size": list(mask.shape), "counts": written}, "iscrowd": 1})
