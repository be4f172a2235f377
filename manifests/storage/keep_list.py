"""Subsets of a pool as DataComp exchanges them: a .npy of sorted 128-bit uids, dtype `u8,u8`.

A uid is 32 hex digits; the first field holds its upper 16, the second its lower 16. Any program
that loads such a file with numpy, as DataComp's resharder does, can read what is written here.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import storage
from manifests.errors import InputError

DTYPE = np.dtype("u8,u8")
_CHECKED_AT_ONCE = 1 << 22


def is_uid(uids: pa.Array) -> pa.Array:
    """Which strings are uids: 32 hex digits, of either case."""
    return pc.match_substring_regex(uids, "^[0-9a-fA-F]{32}$")


def parse_uids(uids: pa.Array) -> np.ndarray:
    """Uids as `DTYPE`, in their order. Each must be one (`is_uid`)."""
    digits = bytes.fromhex("".join(uids.to_pylist()))
    return np.frombuffer(digits, ">u8").astype("<u8").view(DTYPE)


def write_keep_list(path: str, uids: pa.Array) -> int:
    """Write the distinct uids, sorted; returns how many there are."""
    bad = uids.filter(pc.invert(is_uid(uids).fill_null(False)))
    if len(bad):
        raise InputError(f"{bad[0].as_py()!r} is not a uid: 32 hex digits.", path)
    pairs = parse_uids(uids)
    pairs = pairs[np.lexsort((pairs["f1"], pairs["f0"]))]
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]]
    with storage.writing(path) as sink:
        np.lib.format.write_array(sink, pairs, allow_pickle=False)
    return len(pairs)


def read_keep_list(path: str) -> np.ndarray:
    """The sorted uids of a list; memory-mapped where it is local, once a process and version."""
    stamp = storage.size_and_stamp(path)
    if stamp is None:
        raise InputError("there is no such keep list", path)
    return _read(path, stamp)


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int]) -> np.ndarray:
    try:
        if storage.is_remote(path):
            uids = np.load(io.BytesIO(storage.read_bytes(path)), allow_pickle=False)
        else:
            uids = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"not a .npy file: {error}", path) from error
    if uids.dtype != DTYPE or uids.ndim != 1:
        raise InputError(f"an array of {uids.dtype}, not of u8,u8: not a keep list.", path)
    _check_sorted(uids, path)
    return np.asarray(uids)


def _check_sorted(uids: np.ndarray, path: str) -> None:
    for start in range(0, len(uids) - 1, _CHECKED_AT_ONCE):
        some = uids[start : start + _CHECKED_AT_ONCE + 1]
        wrong = np.flatnonzero(_less(some[1:], some[:-1]))
        if len(wrong):
            raise InputError(
                f"uid {start + wrong[0] + 1} is less than the one before it.",
                path,
                "Sort it: `uids = np.load(path); uids.sort(); np.save(path, uids)`.",
            )


def contains(uids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` are among the sorted `uids`, both of `DTYPE`.

    All are searched at once, a halving a round; of a memory-mapped list only what is looked at is
    read, and nothing is copied.
    """
    if not len(uids):
        return np.zeros(len(wanted), bool)
    left, right = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(uids) - 1)
    for _ in range(len(uids).bit_length()):
        middle = (left + right) // 2
        before = _less(uids[middle], wanted)
        left, right = np.where(before, middle + 1, left), np.where(before, right, middle)
        left = np.minimum(left, right)
    return np.asarray(uids[left] == wanted)


def _less(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a["f0"] < b["f0"]) | ((a["f0"] == b["f0"]) & (a["f1"] < b["f1"])))
