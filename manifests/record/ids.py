"""The ids of records, and random keys derived from ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import ManifestError
from manifests.kernels.splitmix64 import splitmix64
from manifests.record.columns import one_chunk


def record_id(source: str, key: str) -> str:
    """Returns the id of a record: a hash of `source` and `key` as 32 hex digits, which does not
    depend on where the files are stored."""
    return hashlib.blake2b(f"{source}\0{key}".encode(), digest_size=16).hexdigest()


def record_ids(source: str, keys: Iterable[str]) -> pa.Array:
    """Returns `record_id` of every key, as an Arrow string array."""
    start = hashlib.blake2b(f"{source}\0".encode(), digest_size=16)

    def one(key: str) -> str:
        state = start.copy()
        state.update(key.encode("utf-8", "surrogatepass"))
        return state.hexdigest()

    return pa.array([one(key) for key in keys], pa.string())


def child_ids(parents: Sequence[str], ordinals: Sequence[int]) -> pa.Array:
    """Returns the ids of new rows that a reshape step makes from other rows. The id of new row i is
    a hash of parents[i] and ordinals[i]. parents[i] is the id of the row from which new row i was
    made. ordinals[i] is a number that differs for each new row of the same parent."""
    return pa.array([record_id(p, str(n)) for p, n in zip(parents, ordinals, strict=True)])


def random_keys(ids: pa.Array | pa.ChunkedArray, seed: int) -> np.ndarray:
    """Returns (n,) uint64: a uniform random key for each id. Every random decision about a record
    uses this key.

    The key is computed from the seed and the first 64 bits of the id by splitmix64 (Steele et al.
    2014). The id is a hash, so the key does not depend on workers, on order, or on other records.
    """
    mixed_seed = splitmix64(np.array([seed % 2**64], np.uint64))
    words = _first_16_digits(one_chunk(ids))
    keys = np.empty(len(words), np.uint64)
    for start in range(0, len(words), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        keys[block] = splitmix64(_hex_to_uint64(words[block]) ^ mixed_seed)
    return keys


def uniform_numbers(keys: np.ndarray) -> np.ndarray:
    """Returns random keys (uint64) as numbers from 0 to 1, (key + 1/2) / 2^64: the larger the key,
    the larger the number."""
    numbers: np.ndarray = (keys.astype(np.float64) + 0.5) * 2.0**-64
    return numbers


def key_limit(size: int, total: int) -> int:
    """Returns the number that the random keys of about `size` of `total` records are below; 2^64,
    which all keys are below, if there are no more.

    key_limit(1, 4) -> 2^62
    """
    return 2**64 if size >= total else 2**64 * size // total


def id_keys(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (n,) uint64: the first 16 hex digits of each id as a number. Numbers sort in the same
    order as ids; ids that differ only in later digits have the same number."""
    return _hex_to_uint64(_first_16_digits(one_chunk(ids)))


_BLOCK_ROWS = 16384
"""Rows that are processed at a time. Intermediate arrays then fit the CPU cache, which halves the
time (measured)."""


def _first_16_digits(ids: pa.Array) -> np.ndarray:
    """Returns (n, 2) big-endian uint64: the first 16 characters of each id, as two groups of 8
    bytes. The column is not copied if all ids have 32 characters."""
    if not len(ids):
        return np.empty((0, 2), ">u8")
    lengths = np.diff(np.frombuffer(ids.buffers()[1], np.int32, len(ids) + 1, 4 * ids.offset))
    if ids.null_count or (lengths < 16).any():
        raise ManifestError(
            "a record has no id, or an id of fewer than 16 hex digits",
            "column 'id'",
            "Run the recipe again, with a new output folder.",
        )
    if (lengths != 32).any():
        ids = pc.binary_slice(ids.cast(pa.binary()), 0, 16)
    width = 32 if (lengths == 32).all() else 16
    start = np.frombuffer(ids.buffers()[1], np.int32, 1, 4 * ids.offset)[0]
    digits = np.frombuffer(ids.buffers()[2], np.uint8, width * len(ids), start)
    words: np.ndarray = digits.view(">u8").reshape(len(ids), width // 8)[:, :2]
    return words


def _hex_to_uint64(words: np.ndarray) -> np.ndarray:
    """Converts n texts of 16 hex digits to numbers, (n,) uint64. `words` (n, 2) uint64 has the
    ASCII characters of each text, 8 characters in each number. First each character is replaced by
    the 4 bits of its digit, then neighbouring digits are joined."""
    x = words.astype(np.uint64)
    letters = (x >> np.uint64(6)) & np.uint64(0x0101010101010101)
    x = (x & np.uint64(0x0F0F0F0F0F0F0F0F)) + letters * np.uint64(9)
    x = (x | x >> np.uint64(4)) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | x >> np.uint64(8)) & np.uint64(0x0000FFFF0000FFFF)
    x = (x | x >> np.uint64(16)) & np.uint64(0xFFFFFFFF)
    keys: np.ndarray = (x[:, 0] << np.uint64(32)) | x[:, 1]
    return keys
