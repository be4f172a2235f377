"""pHash: a perceptual hash of 64 bits, computed from the low frequencies of an image's luma (Zauner
2010)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

SIDE = 32
"""The side in pixels of the square of luma that is hashed (Zauner 2010)."""

_MIN_DETAIL = 2
"""An image gets a hash only if the median of its frequencies is at least this many gray levels (our
choice). Nine of 1365 real images have a lower median. Seven of these, with 0.1 or less, are
patterns: the hashes of their copies differ as much as the hashes of different images. For the other
two, a third of the copies are not found. For all other images, 99 % of the copies (re-encoded, or
at half the size) are found."""

_SCALE = 4096
"""Cosines are rounded to multiples of 1 / 4096. All products and sums are then integers below 2^53,
so a hash has the same bits in any batch, on any machine, with any matrix library."""
_FREQUENCIES = np.arange(1, 9)
_COSINES = np.rint(
    _SCALE * np.cos(np.pi / (2 * SIDE) * np.outer(_FREQUENCIES, 2 * np.arange(SIDE) + 1))
)
_MIRROR_SIGNS = (-1.0) ** _FREQUENCIES
"""The factor by which each frequency changes when the image is mirrored: odd frequencies change
their sign."""
_GRAY_LEVEL = _SCALE * _SCALE * SIDE // 2
"""The value of a frequency computed here, with cosines scaled by _SCALE, that corresponds to 1 gray
level in an orthonormal DCT."""


def hashes(lumas: np.ndarray) -> tuple[pa.Array, pa.Array]:
    """Returns the hashes of images and of their mirror images, uint64; null for an image without
    detail.

    `lumas`: uint8 (images, SIDE, SIDE). Each bit represents one of the 8 x 8 frequencies, row by
    row; the highest bit represents the lowest frequency.
    """
    blocks = _COSINES @ lumas.astype(np.float64) @ _COSINES.T
    flat = np.abs(blocks).reshape(len(blocks), 64)
    blank = np.median(flat, axis=1) < _MIN_DETAIL * _GRAY_LEVEL
    return pa.array(_bits(blocks), mask=blank), pa.array(_bits(blocks * _MIRROR_SIGNS), mask=blank)


def _bits(blocks: np.ndarray) -> np.ndarray:
    """Returns one uint64 for each block of 8 x 8 frequencies. Its bits state which of the 64
    frequencies are above their median."""
    flat = blocks.reshape(len(blocks), 64)
    above = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8").astype(np.uint64).ravel()
