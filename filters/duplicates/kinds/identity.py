"""Identities: 128-bit hashes of units (records or images). Units with equal identities are
duplicates, without any further comparison."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.kernels.splitmix64 import GOLDEN, finalise


def combine_hashes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns a uint64 hash of each pair (a[i], b[i]) of uint64. The pairs (x, y) and (y, x) have
    different hashes.

    The hash is the finaliser of splitmix64, applied to the combination of both values.
    """
    with np.errstate(over="ignore"):
        return finalise(a ^ (b * np.uint64(GOLDEN) + (b >> np.uint64(29))))


def list_identities(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    """Returns an identity (128-bit hash) for each list of values; null for an empty list. The
    identity depends on the order of the values.

    List i is values[offsets[i] : offsets[i + 1]]; `values` (m, 2) uint64. Returns
    fixed_size_binary(16).
    """
    rows, lengths = len(offsets) - 1, np.diff(offsets)
    identity = np.zeros((rows, 2), np.uint64)
    for place in range(int(lengths.max(initial=0))):
        longer = np.flatnonzero(lengths > place)
        once = combine_hashes(identity[longer], values[offsets[longer] + place])
        identity[longer] = combine_hashes(once, np.array([[place + 1, place + 2]], np.uint64))
    return to_binary(lengths > 0, identity)


def to_binary(present: np.ndarray, identity: np.ndarray) -> pa.Array:
    """Converts identities, (n, 2) uint64, to fixed_size_binary(16). The result is null where
    `present`, (n,) bool, is false."""
    values = pa.py_buffer(np.ascontiguousarray(identity))
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(16), len(present), [valid, values])


def from_binary(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `to_binary`. Returns `present` (n,) bool and the identities (n, 2) uint64."""
    words = np.frombuffer(values.buffers()[1], np.uint64).reshape(-1, 2)
    own = words[values.offset : values.offset + len(values)]
    return np.asarray(values.is_valid()), own
