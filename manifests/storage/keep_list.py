"""Reads and writes keep lists. A keep list is a .npy file with the sorted 128-bit uids of the
samples to keep, dtype `u8,u8`. DataComp publishes its subsets in this form.

A uid is 32 hex digits: the first field has the first 16 digits, the second field has the last 16.
Every program that loads such files with numpy, such as DataComp's resharder, can read our files.
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
_FORM = "A keep list is a .npy file of one dimension and of dtype u8,u8."
_CHECKED_ROWS = 1 << 22
"""Number of uids that are compared at once when a file is checked (our choice): 64 MiB."""


def is_uid(uids: pa.Array) -> pa.Array:
    """Returns (n,) bool: whether each string is a uid: 32 hex digits, in upper or lower case."""
    return pc.match_substring_regex(uids, "^[0-9a-fA-F]{32}$")


def parse_uids(uids: pa.Array) -> np.ndarray:
    """Returns the uids as an array of `DTYPE`, in the same order. Every string must be a uid
    (`is_uid`)."""
    digits = bytes.fromhex("".join(uids.to_pylist()))
    return np.frombuffer(digits, ">u8").astype("<u8").view(DTYPE)


def write_keep_list(path: str, uids: np.ndarray) -> int:
    """Writes the distinct uids (`DTYPE`) in sorted order. Returns how many uids were written."""
    uids = uids[np.lexsort((uids["f1"], uids["f0"]))]
    is_first = np.ones(len(uids), bool)
    is_first[1:] = uids[1:] != uids[:-1]
    with storage.writing(path) as sink:
        np.lib.format.write_array(sink, uids[is_first], allow_pickle=False)
    return int(is_first.sum())


def read_keep_list(path: str) -> np.ndarray:
    """Returns the sorted uids of a file. A local file is memory-mapped. The last four arrays are
    kept, and returned again while their files do not change. Raises InputError if the file does not
    exist, or is not a sorted keep list."""
    stamp = storage.size_and_stamp(path)
    if stamp is None:
        raise InputError("there is no such keep list", path, "Correct the path in the recipe.")
    return _read(path, stamp)


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int]) -> np.ndarray:
    with storage.storage_errors(path):
        try:
            if storage.is_remote(path):
                uids = np.load(io.BytesIO(storage.read_bytes(path)), allow_pickle=False)
            else:
                uids = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"this is not a .npy file: {error}", path, _FORM) from error
    if uids.dtype != DTYPE or uids.ndim != 1:
        fault = f"the array has dtype {uids.dtype} and {uids.ndim} dimensions"
        raise InputError(fault, path, _FORM)
    _check_sorted(uids, path)
    return np.asarray(uids)


def _check_sorted(uids: np.ndarray, path: str) -> None:
    for start in range(0, len(uids) - 1, _CHECKED_ROWS):
        block = uids[start : start + _CHECKED_ROWS + 1]
        wrong = np.flatnonzero(_less(block[1:], block[:-1]))
        if len(wrong):
            raise InputError(
                f"the list is not sorted: uid {start + wrong[0] + 1} is less than the one before.",
                path,
                "Sort the list: `uids = np.load(path); uids.sort(); np.save(path, uids)`.",
            )


def contains(uids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: whether each of the n `wanted` uids is in the sorted `uids`; both arrays
    have the dtype `DTYPE`.

    A binary search runs for all wanted uids at once. If `uids` is memory-mapped, only the uids that
    are compared are read from disk, and nothing is copied.
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
