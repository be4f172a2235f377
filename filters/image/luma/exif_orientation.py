"""Which way up an image is shown: the orientation its Exif block tells (Exif 2.32, tag 0x0112)."""

from __future__ import annotations

import struct

import numpy as np

_ORIENTATION, _SHORT = 0x0112, 3
_ENTRY_BYTES = 12


def orientation(exif: bytes) -> int:
    """1 (as it is stored) to 8; 1 where the block is empty, broken, or says nothing of it."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + entries * _ENTRY_BYTES, _ENTRY_BYTES):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (rows, columns) as they are shown, from how they are stored."""
    turned = stored.T if orientation >= 5 else stored
    flipped_rows = orientation in (3, 4, 7, 8)
    flipped_columns = orientation in (2, 3, 6, 7)
    return turned[:: -1 if flipped_rows else 1, :: -1 if flipped_columns else 1]
