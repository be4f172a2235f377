"""Annotations, and the image that they belong to, as a grounding reader reads them from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from curate.ingest.images import OpenedImage
from manifests.errors import RowError
from manifests.storage import File


class Annotation(NamedTuple):
    """One annotation, with coordinates as the file has them, in the space of the reader.

    `polygon`: rings of x y x y ...; `box3d`: 9 numbers as in the record (metres, radians);
    `attributes`: the other fields of the annotation.

        Annotation("dog", box=[64, 48, 64, 48], attributes={"iscrowd": 1})
    """

    label: str | None = None
    box: Sequence[float] | None = None
    point: Sequence[float] | None = None
    polygon: Sequence[Sequence[float]] | None = None
    box3d: Sequence[float] | None = None
    text: str | None = None
    attributes: dict[str, Any] | None = None


class AnnotatedImage(NamedTuple):
    """An image with its annotations. If `image` is an error, the input becomes a failure.

    `within`: the place in the file, such as a row number. `size`: width and height of the image
    that was annotated, if the file records them. `text`: a caption. `camera`: fx fy cx cy. `file`:
    the file of this image, if a batch has a file for each image.
    """

    within: Any
    image: OpenedImage | RowError
    annotations: Sequence[Annotation] = ()
    size: tuple[float, float] | None = None
    text: str | None = None
    meta: dict[str, Any] | None = None
    camera: Sequence[float] | None = None
    file: File | None = None
