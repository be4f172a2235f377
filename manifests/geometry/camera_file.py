"""A file of cameras by image, as the cookbook of Qwen3-VL keeps them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from manifests import storage
from manifests.errors import InputError

INTRINSICS = ("fx", "fy", "cx", "cy")
SIZE = ("width", "height")
EXPECTED = 'It is {"NAME": {"fx": ..., "fy": ..., "cx": ..., "cy": ...}}, in pixels.'

CamerasByName = dict[str, tuple[float, ...]]
"""fx fy cx cy width height of each image; the last two nan where the file does not say them."""


def read_cameras(place: str) -> CamerasByName:
    """All cameras of a file. Raises InputError where it is none, or its numbers are none."""
    return _read(place, storage.size_and_stamp(place))


@functools.lru_cache(maxsize=1)
def _read(place: str, stamp: object) -> CamerasByName:
    """Once a process for every state of the file, which `stamp` tells."""
    try:
        found = orjson.loads(storage.read_bytes(place))
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", place, EXPECTED) from None
    if not isinstance(found, dict):
        raise InputError("is not a JSON object", place, EXPECTED)
    return {name: _camera(value, f"{place}, {name!r}") for name, value in found.items()}


def cameras_by_uri(uris: Sequence[str], cameras: CamerasByName) -> np.ndarray:
    """(n, 6) of images by uri, or by its last part; nan where the file has none."""
    none = (np.nan,) * 6
    found = [cameras.get(uri) or cameras.get(storage.base_name(uri), none) for uri in uris]
    return np.array(found, np.float64).reshape(-1, 6)


def _camera(value: Any, place: str) -> tuple[float, ...]:
    if not isinstance(value, dict):
        raise InputError(f"{value!r:.80} is no camera", place, EXPECTED)
    found: list[Any] = [value.get(name) for name in INTRINSICS]
    found += [value.get(name, np.nan) for name in SIZE]
    for name, number in zip((*INTRINSICS, *SIZE), found, strict=True):
        if not isinstance(number, int | float) or (name not in ("cx", "cy") and number <= 0):
            raise InputError(f"{name} is {number!r:.80}", place, EXPECTED)
    return tuple(map(float, found))
