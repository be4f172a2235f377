"""splitmix64 (Steele et al. 2014): a random 64-bit number from each 64-bit number.

It is used for the random keys of records, the random numbers of a step, the keys of bands, and to
combine hashes. It needs only numpy, because modules that do not load numba import it.
"""

from __future__ import annotations

import numpy as np

GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Constants of splitmix64 (published): the number that is added to the state each time, and the two
multipliers of the finaliser."""

_WORD = 2**64


def splitmix64(x: np.ndarray) -> np.ndarray:
    """For each state of `x` (uint64), returns the random number that splitmix64 makes from it: 0 ->
    0xe220a8397b1dcdaf."""
    with np.errstate(over="ignore"):
        return finalise(x + np.uint64(GOLDEN))


def finalise(x: np.ndarray) -> np.ndarray:
    """Returns the finaliser of splitmix64 for each number of `x` (uint64). The finaliser is the
    last part of splitmix64, which mixes the bits. Different numbers give different results; 0 gives
    0."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(MIX_1)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(MIX_2)
        mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def next_word(state: int) -> tuple[int, int]:
    """Returns the next state of splitmix64 after `state`, and the random number that it gives, as
    Python ints.

    Each call makes one number; use `splitmix64` for an array of states.

    next_word(0) == (0x9e3779b97f4a7c15, 0xe220a8397b1dcdaf)
    """
    state = (state + GOLDEN) % _WORD
    x = (state ^ (state >> 30)) * MIX_1 % _WORD
    x = (x ^ (x >> 27)) * MIX_2 % _WORD
    return state, x ^ (x >> 31)
