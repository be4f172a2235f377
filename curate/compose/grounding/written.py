"""The objects of a batch as answers name them: their numbers written, in order, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.compose.grounding.one_image import OneImage
from curate.compose.grounding.rendering import (
    COUNTS,
    PIXELS,
    Number,
    Shown,
    Style,
    What,
    cuboids,
    pixels,
    thousandths,
)
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize, smart_resize
from manifests.record.objects import Objects, to_matrix
from manifests.step import reasons

Most = Annotated[
    Literal[999, 1000] | None,
    Field(
        description="largest thousandth that is written: 1000 as the report has it, 999 as Qwen's "
        "own answers; null: 999 for tags, else 1000"
    ),
]
Order = Annotated[
    Literal["reading", "given"],
    Field(
        description="objects of an answer by their upper edge, then their left one (in 3D the "
        "nearest first), or as they are annotated (ours)"
    ),
]


class Writing(NamedTuple):
    """How numbers are written."""

    style: Style = "qwen3"
    what: What = "boxes"
    most: int | None = None
    order: Literal["reading", "given"] = "reading"
    resize: Resize = QWEN2_5_RESIZE
    angles: Angles = QWEN3_ANGLES


class Written(NamedTuple):
    """Of every object its numbers, and whether it has any; the order they are told in, and the
    place of each in it; and of every record why they cannot be written."""

    numbers: list[list[Number]]
    has: np.ndarray
    order: np.ndarray
    rank: list[int]
    error: pa.Array

    def shown(self, named: Iterable[tuple[int, str | None]]) -> list[Shown]:
        """What an answer holds of some objects, each with the label it is to have."""
        return [Shown(label, self.numbers[at]) for at, label in named]


def written(objects: Objects, image: OneImage, how: Writing) -> Written:
    """The numbers of all objects, rounded."""
    values = numbers_of(objects, how.what)
    has = np.isfinite(values).all(axis=1)
    values = np.where(has[:, None], values, 0.0)
    sizes = np.where(np.isnan(image.sizes), 1.0, image.sizes)
    error = _errors(image, sizes, how)
    if how.what == "boxes_3d":
        numbers = cuboids(values, how.angles)
    elif how.style in PIXELS:
        numbers = _pixels(values, sizes, objects.rows, how.resize)
    else:
        most = how.most or (999 if how.style == "tags" else 1000)
        numbers = thousandths(values, most).tolist()
    order = _order(objects.rows, values, how)
    return Written(numbers, has, order, np.argsort(order).tolist(), error)


def numbers_of(objects: Objects, what: What) -> np.ndarray:
    """(n, numbers) float64 as records have them; nan where an object has none."""
    known = {"boxes": objects.boxes, "points": objects.points}
    return known[what] if what in known else to_matrix(objects.field("box3d"), COUNTS[what])


def _pixels(
    values: np.ndarray, sizes: np.ndarray, rows: np.ndarray, how: Resize
) -> list[list[Number]]:
    square = np.where(smart_resize(sizes, how) > 0, sizes, 1.0)  # those refused are errors anyway
    found: list[list[Number]] = pixels(values, square[rows], how).tolist()
    return found


def _errors(image: OneImage, sizes: np.ndarray, how: Writing) -> pa.Array:
    if how.what == "boxes_3d" or how.style not in PIXELS:
        return pa.nulls(len(sizes), pa.string())
    there = image.media >= 0
    unknown = np.isnan(image.sizes).any(axis=1)
    refused = (smart_resize(sizes, how.resize) == 0).any(axis=1)
    return reasons(
        len(sizes),
        (there & unknown, "an image of unknown size"),
        (there & refused, "an image too elongated for smart_resize"),
    )


def _order(rows: np.ndarray, values: np.ndarray, how: Writing) -> np.ndarray:
    if how.order == "given":
        return np.arange(len(rows))
    first = 2 if how.what == "boxes_3d" else 1
    return np.lexsort((values[:, 0], values[:, first], rows))


Groups = list[dict[str, list[int]]]
"""Of every record its objects (numbers of flat ones) by name, in the order they are told in."""


def by_name(
    objects: Objects, names: list[str | None], whole: np.ndarray, order: np.ndarray, records: int
) -> Groups:
    """The objects by name. A name is left out if one of its objects is not `whole`: an answer
    holds all instances or is not given. Row by row: names are told apart in each record."""
    groups: Groups = [{} for _ in range(records)]
    rows, is_whole = objects.rows.tolist(), whole.tolist()
    partly: list[tuple[int, str]] = []
    for at in order.tolist():
        name = names[at]
        if name is None or not name.strip():
            continue
        groups[rows[at]].setdefault(name, []).append(at)
        if not is_whole[at]:
            partly.append((rows[at], name))
    for row, name in partly:
        groups[row].pop(name, None)
    return groups
