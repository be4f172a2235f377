"""Huffman codes of JPEGs (ITU-T T.81, annex F) as look-up tables that pass several symbols at once.

Whoever looks only for the means of blocks needs of the symbols between them how many bits they
take and how many coefficients they pass, so symbols are added up: as many as begin in the next
10 bits, whether or not the value of the last one is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import int32, int64, uint8, uint16, void

from filters.image.luma.jpeg_scans import DC
from manifests.kernels.compiling import compiled, inlined

SEEN_BITS = 10
"""Bits that a look-up sees (ours: of 9 to 14 the fastest, with the time to fill the tables)."""

DONE, PASSED = 5, 6
"""An entry has in bits 0 to 4 the bits taken, in bit 5 whether the table's turn ends with them, and
from bit 6 on the coefficients passed; of a DC code, the bits of value that end what it takes."""
LAST = 63
"""The last coefficient of a block: the block ends with it, and nothing says so."""
UNSEEN = LAST << PASSED
"""The entry of a word longer than what is seen: it seems to pass more than a block can have."""

LONGEST = 16
"""Bits of the longest word."""
TABLES = (uint16[::1], uint8[::1], int32[:, ::1], int32[:, ::1], uint8[:, ::1])
_SYMBOLS, _WIDTH = 17, 17 + 256
"""Where the symbols of a code start, and its most bytes."""


class Tables(NamedTuple):
    """Codes by number. Number 0 is none: its entries take nothing, pass nothing and never end.

    `seen`: the entries, 1024 for each code, by the bits that are seen. For one symbol alone,
    `limits[c, n]`: the least 16 bits that are no word of up to n bits, `offsets[c, n]`: from a
    word of n bits to its place in `symbols[c]`. `kinds`: DC or AC.
    """

    seen: np.ndarray
    kinds: np.ndarray
    limits: np.ndarray
    offsets: np.ndarray
    symbols: np.ndarray


def tables(codes: Sequence[bytes]) -> Tables:
    """The tables of codes, numbered from 1. A code: the byte DC or AC, 16 counts, the symbols."""
    count = len(codes) + 1
    whole = b"".join(code.ljust(_WIDTH, b"\0") for code in codes)
    given = np.frombuffer(whole, np.uint8).reshape(len(codes), _WIDTH)
    limits, offsets = np.zeros((2, count, LONGEST + 1), np.int32)
    kinds, symbols = np.zeros(count, np.uint8), np.zeros((count, _WIDTH), np.uint8)
    kinds[1:], symbols[1:, : _WIDTH - _SYMBOLS] = given[:, 0], given[:, _SYMBOLS:]
    seen = np.zeros(count << SEEN_BITS, np.uint16)
    _fill(given[:, 1:_SYMBOLS].astype(np.int64), seen, kinds, limits, offsets, symbols)
    return Tables(seen, kinds, limits, offsets, symbols)


@compiled(void(int64[:, ::1], *TABLES))
def _fill(
    counts: np.ndarray,
    seen: np.ndarray,
    kinds: np.ndarray,
    limits: np.ndarray,
    offsets: np.ndarray,
    symbols: np.ndarray,
) -> None:
    """Words are numbers that follow each other, those of n bits after all shorter ones.

    The entry of a DC code is its symbol, the bits of its value, and its end. That of an AC code
    is of all symbols that begin in the bits seen, up to the end of the block if that is among them.
    """
    single = np.empty(1 << SEEN_BITS, np.int32)
    for code in range(1, len(kinds)):
        single[:] = 0
        word, place = 0, 0
        for bits in range(1, LONGEST + 1):
            offsets[code, bits] = place - word
            for _ in range(counts[code - 1, bits - 1]):
                if bits <= SEEN_BITS:
                    unseen = SEEN_BITS - bits
                    found = bits << 8 | symbols[code, place]
                    single[word << unseen : (word + 1) << unseen] = found
                word, place = word + 1, place + 1
            limits[code, bits] = word << (LONGEST - bits)
            word <<= 1
        for ahead in range(1 << SEEN_BITS):
            taken, passed, done, rest = 0, 0, 0, ahead
            while taken < SEEN_BITS and not done:
                found = single[rest]
                bits, run, value = found >> 8, found >> 4 & 15, found & 15
                if bits == 0 or taken + bits > SEEN_BITS:
                    break
                if kinds[code] == DC:
                    passed, done = value, 1
                elif value == 0 and run != 15:
                    done = 1
                elif passed + run + 1 < LAST:
                    passed += run + 1
                else:
                    break
                taken += bits + value
                rest = ahead << taken & (1 << SEEN_BITS) - 1
            entry = taken | done << DONE | passed << PASSED
            seen[code << SEEN_BITS | ahead] = entry if taken else UNSEEN


@inlined
def symbol(
    ahead: int, code: int, limits: np.ndarray, offsets: np.ndarray, symbols: np.ndarray
) -> tuple[int, int]:
    """How many bits the word has that the next 16 start with, 0 if none does, and its symbol."""
    for bits in range(1, LONGEST + 1):
        if ahead < limits[code, bits]:
            return bits, symbols[code, (ahead >> (LONGEST - bits)) + offsets[code, bits]]
    return 0, 0
