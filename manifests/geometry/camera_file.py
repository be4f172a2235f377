"""Reads a JSON file with the camera of each image, in the form of Qwen3-VL's cookbook
(`cam_infos.json`)."""

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
EXPECTED = (
    'Write {"IMAGE": {"fx": NUMBER, "fy": NUMBER, "cx": NUMBER, "cy": NUMBER}, ...}, in pixels.'
)

CamerasByName = dict[str, tuple[float, ...]]
"""Maps the name of an image to its fx fy cx cy width height. Width and height are nan if the file
does not contain them."""


def read_cameras(path: str) -> CamerasByName:
    """Returns the camera of each image in a JSON file:

    `{"a.jpg": {"fx": 500, "fy": 500, "cx": 320, "cy": 240}}` becomes
    `{"a.jpg": (500, 500, 320, 240, nan, nan)}`.

    The last two numbers are the width and height of the image, which the file may leave out. Raises
    InputError if the file has another form.
    """
    return _read(path, storage.size_and_stamp(path))


@functools.lru_cache(maxsize=1)
def _read(path: str, stamp: object) -> CamerasByName:
    """Returns all cameras of a file. The result is cached in this process until `stamp`, the size
    and date of the file, changes."""
    try:
        parsed = orjson.loads(storage.read_bytes(path))
    except ValueError as error:
        raise InputError(f"the file is not JSON: {error}", path, EXPECTED) from None
    if not isinstance(parsed, dict):
        raise InputError("the file is not a JSON object", path, EXPECTED)
    return {name: _camera(value, f"{path}, {name!r}") for name, value in parsed.items()}


def cameras_by_uri(uris: Sequence[str], cameras: CamerasByName) -> np.ndarray:
    """Returns (n, 6) float64: fx fy cx cy width height of each image; nan if `cameras` does not
    have the image.

    An image is looked up by its whole uri, then by the last component of the uri.
    """
    missing = (np.nan,) * 6
    found = [cameras.get(uri) or cameras.get(storage.base_name(uri), missing) for uri in uris]
    return np.array(found, np.float64).reshape(-1, 6)


def _camera(value: Any, place: str) -> tuple[float, ...]:
    if not isinstance(value, dict):
        raise InputError(f"the camera is {value!r:.80}, not a JSON object", place, EXPECTED)
    numbers: list[Any] = [value.get(name) for name in INTRINSICS]
    numbers += [value.get(name, np.nan) for name in SIZE]
    for name, number in zip((*INTRINSICS, *SIZE), numbers, strict=True):
        if not isinstance(number, int | float) or (name not in ("cx", "cy") and number <= 0):
            expected = "a number" if name in ("cx", "cy") else "a positive number"
            raise InputError(f"{name} is {number!r:.80}, not {expected}", place, EXPECTED)
    return tuple(map(float, numbers))
