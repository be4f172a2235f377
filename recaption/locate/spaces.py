"""The coordinate spaces of replies: what the numbers of a model's boxes and points mean."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from manifests.errors import RowError
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, smart_resize
from manifests.geometry.space import UNITS
from manifests.media import Media, Reference
from recaption.client.images import sent_size

ReplySpace = Literal["relative_1000", "pixels_sent", "pixels_resized"]
Size = tuple[float, float]
_RELATIVE: Size = (UNITS, UNITS)
UNKNOWN: Size = (math.nan, math.nan)
ANYWHERE: Size = (math.inf, math.inf)


def reply_size(space: ReplySpace, ref: Reference, media: Media, max_pixels: int) -> Size:
    """Returns the width and height of an image in the unit of a reply's coordinates: 1000 and 1000,
    or the pixels of the upright image as it is sent or after `smart_resize`.

    Returns UNKNOWN if the image's header cannot be read, or if `smart_resize` refuses the image.
    Only the first bytes of the file are read; nothing is read if the space is `relative_1000`.
    """
    if space == "relative_1000":
        return _RELATIVE
    try:
        header, orientation = media.header(ref), media.orientation(ref)
    except RowError:
        return UNKNOWN  # the request has the same error
    sides = (header.width, header.height)
    width, height = sent_size(*(sides[::-1] if orientation in TRANSPOSED else sides), max_pixels)
    if space == "pixels_resized":
        [[width, height]] = smart_resize(np.array([[width, height]]), QWEN2_5_RESIZE).tolist()
    return (float(width), float(height)) if width else UNKNOWN


def to_units(numbers: tuple[float, ...], size: Size) -> list[float]:
    """Converts the coordinates x y or x y x y of a reply to [0,1000]. `size` is the width and
    height of the image in the unit of the reply's coordinates.

    `to_units((64, 48), (640, 480)) -> [100, 100]`
    """
    sides = size * (len(numbers) // 2)
    return [n * UNITS / side for n, side in zip(numbers, sides, strict=True)]
