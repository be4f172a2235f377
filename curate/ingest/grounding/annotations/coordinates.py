"""Collects the coordinates of a batch of annotated images in arrays, and converts the coordinates
to [0,1000] of the image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.space_check import Coordinates
from manifests.errors import RowError
from manifests.geometry.exif_orientation import boxes_as_shown, points_as_shown
from manifests.geometry.space import Space


class ReadyImage(NamedTuple):
    """An annotated image that was opened, with its Exif orientation. `size` is the width and height
    in pixels of the image to which the coordinates refer."""

    annotated: AnnotatedImage
    orientation: int
    size: tuple[float, float]


class BatchCoordinates(NamedTuple):
    """The boxes, points and polygon vertices of a batch. The field `rows` of `boxes`, `points` or
    `vertices` has, for each box, point or vertex, the index of its image in the batch."""

    boxes: Coordinates
    points: Coordinates
    vertices: Coordinates

    @property
    def by_name(self) -> dict[str, Coordinates]:
        return {n: some for n, some in self._asdict().items() if len(some.values)}


def gather(images: Sequence[ReadyImage]) -> BatchCoordinates:
    """Collects the boxes, points and polygon vertices of all images in arrays. Raises TypeError or
    ValueError if an annotation is malformed."""
    boxes: list[Sequence[float]] = []
    points: list[Sequence[float]] = []
    rings: list[Sequence[float]] = []
    rows: tuple[list[int], list[int], list[int]] = ([], [], [])
    for row, image in enumerate(images):
        for annotation in image.annotated.annotations:
            if annotation.box is not None:
                boxes.append(annotation.box)
                rows[0].append(row)
            if annotation.point is not None:
                points.append(annotation.point)
                rows[1].append(row)
            for ring in annotation.polygon or ():
                rings.append(ring)
                rows[2].extend([row] * (len(ring) // 2))
    if any(len(ring) % 2 for ring in rings):
        raise ValueError
    vertices = _array(list(chain.from_iterable(rings)), 1).reshape(-1, 2)
    sizes = np.array([image.size for image in images], np.float64).reshape(-1, 2)
    arrays = (_array(boxes, 4), _array(points, 2), vertices)
    return BatchCoordinates(*[
        Coordinates(values, sizes[where], where)
        for values, where in zip(arrays, (np.array(r, np.int64) for r in rows), strict=True)
    ])  # fmt: skip


def malformed(images: Sequence[ReadyImage]) -> dict[int, RowError]:
    """Returns an error for each image for which `gather` raises an exception. The keys are the
    indices of these images."""
    return {
        number: _malformed_annotation(image)
        for number, image in enumerate(images)
        if not _can_gather(image, image.annotated.annotations)
    }


def to_units(coordinates: Coordinates, images: Sequence[ReadyImage], space: Space) -> np.ndarray:
    """Converts coordinates from `space` to numbers from 0 to 1000. The number 1000 stands for the
    width or the height that the image has after its Exif orientation is applied."""
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    if space.exif == "shown" or not len(units):
        return units
    orientation = np.array([image.orientation for image in images])[coordinates.rows]
    as_shown = boxes_as_shown if coordinates.what == "boxes" else points_as_shown
    return as_shown(units, orientation)


def _array(values: list[Any], numbers: int) -> np.ndarray:
    """Converts the values to an array of float64, of shape (n, numbers), or (n,) if `numbers` is 1.
    Raises TypeError or ValueError if the values have another shape or are not numbers."""
    array = np.array(values)
    shape = (len(values), numbers)[: min(numbers, 2)]
    if len(values) and (array.dtype.kind not in "iuf" or array.shape != shape):
        raise TypeError
    return array.astype(np.float64).reshape(shape)


def _can_gather(image: ReadyImage, annotations: Sequence[Annotation]) -> bool:
    annotated = image.annotated._replace(annotations=annotations)
    try:
        gather([image._replace(annotated=annotated)])
    except (TypeError, ValueError):
        return False
    return True


def _malformed_annotation(image: ReadyImage) -> RowError:
    for number, annotation in enumerate(image.annotated.annotations):
        shapes = {
            "4 numbers": Annotation(box=annotation.box),
            "2 numbers": Annotation(point=annotation.point),
            "rings of x y x y ...": Annotation(polygon=annotation.polygon),
        }
        for expected, shape in shapes.items():
            if not _can_gather(image, [shape]):
                value = shape.box or shape.point or shape.polygon
                return RowError(f"object {number}: {value!r:.80} is not {expected}")
    raise AssertionError(image)
