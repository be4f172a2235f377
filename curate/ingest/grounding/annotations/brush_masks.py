"""Masks that were drawn with Label Studio's brush, compressed with @thi.ng/rle-pack.

The values of a mask are the red, green, blue and alpha of each pixel. The compressed mask is a
stream of bits, the highest bit of a byte first. The stream starts with a header: the number of
values (32 bits); the number of bits of a value, minus 1 (5 bits); and four numbers, each minus 1 (4
bits each), which are possible widths in bits of a length field.

Blocks follow the header. A block has one bit, which is 1 if all values of the block are the same; 2
bits that choose one of the four widths; a length field of this width, which has the number of
values minus 1; and the values, or only one value if all are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.errors import RowError

_CHANNELS, _ALPHA = 4, 3


def brush_mask(rle: Any, size: tuple[int, int]) -> np.ndarray:
    """Returns an array of bool of shape (height, width): true for each pixel that is not
    transparent. `size` is (width, height). Raises RowError if `rle` is malformed or has another
    number of pixels."""
    width, height = size
    try:
        values = _unpack(_bytes(rle), _CHANNELS * width * height)
    except (TypeError, ValueError, IndexError):
        raise RowError(f"'rle' is {rle!r:.40}, not a mask of {width} x {height} pixels") from None
    opaque: np.ndarray = values.reshape(height, width, _CHANNELS)[:, :, _ALPHA] > 0
    return opaque


def _bytes(rle: Any) -> bytes:
    if not isinstance(rle, list):  # `bytes` of a number is that many zeros
        raise TypeError
    return bytes(rle)


def _unpack(data: bytes, expected: int) -> np.ndarray:
    """Decompresses the values of a mask to an array of shape (expected,) and type uint8. Raises
    ValueError if the data has another number of values, and IndexError if the data ends too
    early."""
    bits = _Bits(data)
    number, bits_of_value = bits.read(32), bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in range(4)]
    if number != expected or bits_of_value != 8:
        raise ValueError
    values = np.zeros(number, np.uint8)
    at = 0
    while at < number:
        is_repeated = bits.read(1)
        end = at + 1 + bits.read(widths[bits.read(2)])
        if end > number:
            raise ValueError
        values[at:end] = bits.read(8) if is_repeated else [bits.read(8) for _ in range(at, end)]
        at = end
    return values


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, bits: int) -> int:
        """Returns the number that the next `bits` bits encode. Raises IndexError at the end of the
        data."""
        first, end = self._at, self._at + bits
        if end > 8 * len(self._data):
            raise IndexError
        self._at = end
        window = int.from_bytes(self._data[first // 8 : (end + 7) // 8], "big")
        return (window >> (-end % 8)) & ((1 << bits) - 1)
