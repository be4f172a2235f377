"""Reads a tensor out of a file in the format safetensors: a header in JSON, then the numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from manifests.errors import InputError

_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
_FIX = "Copy the file again."


def read_tensor(data: bytes, name: str, place: str) -> np.ndarray:
    """Returns a tensor of numbers with 16, 32 or 64 bits, as it is in the file, without a copy.

    Raises InputError if the file is broken, or does not have the tensor. `place` is the path of the
    file, for errors.
    """
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header: dict[str, Any] = json.loads(data[8:start])
        known = sorted(set(header) - {"__metadata__"})
        if name not in known:
            raise InputError(f"the file has no tensor '{name}', only {known}", place, _FIX)
        about = header[name]
        first, end = about["data_offsets"]
        numbers = memoryview(data)[start + first : start + end]
        return np.ndarray(tuple(about["shape"]), _TYPES[about["dtype"]], numbers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"this is not a safetensors file: {type(error).__name__}: {error}"
        raise InputError(fault, place, _FIX) from None
