"""Prepares the objects of a batch for the text of answers: rounds their numbers, orders them, and
groups them by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.compose.grounding.grounded_image import GroundedImages
from curate.compose.grounding.rendering import (
    NUMBERS,
    PIXEL_STYLES,
    AnswerObject,
    Geometry,
    Number,
    Style,
    to_resized_pixels,
    to_rounded_cuboids,
    to_thousandths,
)
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize, smart_resize
from manifests.record.objects import Objects, to_matrix
from manifests.step import reasons

MaxCoordinate = Annotated[
    Literal[999, 1000] | None,
    Field(
        description="largest coordinate in thousandths of the image: 1000 as in the Qwen3-VL "
        "report, 999 as in Qwen's own answers; null: 999 for the style tags, else "
        "1000"
    ),
]
Order = Annotated[
    Literal["reading", "given"],
    Field(
        description="order of the objects in an answer: reading: by upper edge, then left "
        "edge (3D boxes: nearest first); given: as they are annotated (our choice)"
    ),
]


class RenderOptions(NamedTuple):
    """The options for the text of objects: `style` is the format of the text, `geometry` decides
    whether boxes, points or 3D boxes are written, `max_coordinate` is the largest coordinate of a
    style with coordinates from 0 to 1000, `order` is the order of the objects, `resize` has the
    settings of `smart_resize` for coordinates in pixels, and `angles` is the convention for the
    angles of 3D boxes."""

    style: Style = "qwen3"
    geometry: Geometry = "boxes"
    max_coordinate: int | None = None
    order: Literal["reading", "given"] = "reading"
    resize: Resize = QWEN2_5_RESIZE
    angles: Angles = QWEN3_ANGLES


class RenderedObjects(NamedTuple):
    """The n objects of a batch, with the numbers and the order that they have in the text of
    answers.

    `numbers` has the rounded numbers of each object. `complete`, (n,) bool, is false for an object
    without a finite box (or point, or 3D box); its numbers are undefined. `order`, (n,) int64, has
    the indices of the objects in the order of answers, record by record, and `rank` has the
    position of each object in `order`. `error`, (records,) string, is the reason why the objects of
    a record cannot be rendered, or null.
    """

    numbers: list[list[Number]]
    complete: np.ndarray
    order: np.ndarray
    rank: list[int]
    error: pa.Array

    def answer_objects(self, labelled: Iterable[tuple[int, str | None]]) -> list[AnswerObject]:
        """Returns the objects of an answer. Each pair in `labelled` is the index of an object and
        the label that it gets in the answer."""
        return [AnswerObject(label, self.numbers[index]) for index, label in labelled]


def render_objects(
    objects: Objects, images: GroundedImages, options: RenderOptions
) -> RenderedObjects:
    """Returns all objects of a batch, with their numbers rounded according to `options`."""
    values = geometry_values(objects, options.geometry)
    complete = np.isfinite(values).all(axis=1)
    values = np.where(complete[:, None], values, 0.0)
    sizes = np.where(np.isnan(images.sizes), 1.0, images.sizes)
    error = _errors(images, sizes, options)
    if options.geometry == "boxes_3d":
        numbers = to_rounded_cuboids(values, options.angles)
    elif options.style in PIXEL_STYLES:
        numbers = _pixels(values, sizes, objects.rows, options.resize)
    else:
        largest = options.max_coordinate or (999 if options.style == "tags" else 1000)
        numbers = to_thousandths(values, largest).tolist()
    order = _order(objects.rows, values, options)
    return RenderedObjects(numbers, complete, order, np.argsort(order).tolist(), error)


def geometry_values(objects: Objects, geometry: Geometry) -> np.ndarray:
    """Returns the coordinates of boxes (n, 4), points (n, 2) or 3D boxes (n, 9) as float64,
    unchanged from the records; nan for an object without this geometry."""
    known = {"boxes": objects.boxes, "points": objects.points}
    if geometry in known:
        return known[geometry]
    return to_matrix(objects.field("box3d"), NUMBERS[geometry])


def _pixels(
    values: np.ndarray, sizes: np.ndarray, rows: np.ndarray, how: Resize
) -> list[list[Number]]:
    accepted = np.where(smart_resize(sizes, how) > 0, sizes, 1.0)  # `_errors` has refused sizes
    numbers: list[list[Number]] = to_resized_pixels(values, accepted[rows], how).tolist()
    return numbers


def _errors(images: GroundedImages, sizes: np.ndarray, options: RenderOptions) -> pa.Array:
    if options.geometry == "boxes_3d" or options.style not in PIXEL_STYLES:
        return pa.nulls(len(sizes), pa.string())
    has_image = images.media >= 0
    unknown = np.isnan(images.sizes).any(axis=1)
    refused = (smart_resize(sizes, options.resize) == 0).any(axis=1)
    return reasons(
        len(sizes),
        (has_image & unknown, "an image of unknown size"),
        (has_image & refused, "an image too elongated for smart_resize"),
    )


def _order(rows: np.ndarray, values: np.ndarray, options: RenderOptions) -> np.ndarray:
    if options.order == "given":
        return np.arange(len(rows))
    first = 2 if options.geometry == "boxes_3d" else 1
    return np.lexsort((values[:, 0], values[:, first], rows))


ObjectsByName = list[dict[str, list[int]]]
"""A dict for each record: the indices of its objects by name, in the order of answers."""


def group_by_name(
    objects: Objects,
    names: list[str | None],
    complete: np.ndarray,
    order: np.ndarray,
    records: int,
) -> ObjectsByName:
    """Groups the objects of each record by name (a label or an expression).

    `names` has the name of each object, and `order` the indices of all objects in the order of
    answers. `complete`, (n,) bool, is true for each object that can be in an answer. A name is left
    out if one of its objects is not complete, because an answer must contain all objects with its
    name. Objects without a name are left out too.
    """
    groups: ObjectsByName = [{} for _ in range(records)]
    rows, is_complete = objects.rows.tolist(), complete.tolist()
    incomplete: list[tuple[int, str]] = []
    for index in order.tolist():  # object by object: each record has its own names
        name = names[index]
        if name is None or not name.strip():
            continue
        groups[rows[index]].setdefault(name, []).append(index)
        if not is_complete[index]:
            incomplete.append((rows[index], name))
    for row, name in incomplete:
        groups[row].pop(name, None)
    return groups
