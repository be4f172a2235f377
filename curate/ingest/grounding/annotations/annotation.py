"""Annotations and annotated images, as a grounding reader reads them from a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from curate.ingest.images import OpenedImage
from manifests.errors import RowError
from manifests.geometry.space import Space
from manifests.storage import File


class Annotation(NamedTuple):
    """One annotation. Its coordinates are unchanged from the file, in the reader's coordinate
    space.

    `polygon` has rings, each x y x y .... `box3d` has the 9 numbers that a record stores: the
    centre and the size in metres, and three angles in radians. `text` is a phrase that refers to
    the object. `attributes` has the other fields of the annotation. If a part of the annotation is
    faulty and is left out, `fault` is the error of this part; otherwise, `fault` is None.

        Annotation("dog", box=[64, 48, 64, 48], attributes={"iscrowd": 1})
    """

    label: str | None = None
    box: Sequence[float] | None = None
    point: Sequence[float] | None = None
    polygon: Sequence[Sequence[float]] | None = None
    box3d: Sequence[float] | None = None
    text: str | None = None
    attributes: dict[str, Any] | None = None
    fault: RowError | None = None


class AnnotatedImage(NamedTuple):
    """An image with its annotations. If `image` is an error, the image becomes a failure, not a
    record.

    `within` is the place in the file, such as a row number. `size` is the width and height of the
    image that was annotated, if the file has them. `text` is a caption. `camera` is fx fy cx cy.
    `file` is the annotation file of this image, if each image of a batch has its own annotation
    file. `lost` is the number of annotations of the image that could not be read. `units` is the
    number of units (lines, rows, elements, ...) in the file that the image and its annotations are
    made from. `space` is the coordinate space, if the fields of this image show the space.

    If annotators looked for some labels only, `absent` has the labels that they did not find in the
    image; otherwise, `absent` is None. `partial` has the labels for which the image may show more
    objects than the annotated objects.
    """

    within: Any
    image: OpenedImage | RowError
    annotations: Sequence[Annotation] = ()
    size: tuple[float, float] | None = None
    text: str | None = None
    meta: dict[str, Any] | None = None
    camera: Sequence[float] | None = None
    file: File | None = None
    lost: int = 0
    absent: Sequence[str] | None = None
    partial: Collection[str] = ()
    units: int = 1
    space: Space | None = None
