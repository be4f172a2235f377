"""Checks whether coordinates contradict their declared coordinate space, and finds spaces that fit.

All thresholds here are our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, get_args

import numpy as np

from manifests.errors import InputError
from manifests.geometry.space import UNITS, Form, Space, Unit, boxes_to_units, points_to_units

SLACK = 10.0
"""Units (thousandths of a side) by which a box may extend beyond its image or be inverted, because
annotators round."""
MAX_WRONG_SHARE = 0.25
"""If more than this share of boxes is wrong, the coordinate space is wrong; otherwise, only those
boxes are."""
MAX_FITTING_SHARE = 0.01
"""A coordinate space fits if at most this share of boxes is wrong in it."""
MIN_BOXES = 3
"""Inverted boxes are evidence against the space only if there are at least this many boxes."""
CORNER, MIN_IN_CORNER, LARGE_SIDE = 250.0, 50, 400
"""If there are at least MIN_IN_CORNER boxes on large images (shorter side of LARGE_SIDE pixels or
more), and all boxes are within CORNER units of the upper left corner, the coordinates have a
smaller scale."""

ToUnits = Callable[[np.ndarray, np.ndarray, Space], np.ndarray]


class Coordinates(NamedTuple):
    """Boxes (n, 4) or points (n, 2) as in the file, the sizes of their images (n, 2), and their row
    numbers (n,)."""

    values: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray

    @property
    def to_units(self) -> ToUnits:
        return boxes_to_units if self.what == "boxes" else points_to_units

    @property
    def what(self) -> str:
        return "boxes" if self.values.shape[1] == 4 else "points"


def check_space(coordinates: Coordinates, space: Space, place: str, names: Sequence[str]) -> None:
    """Raises InputError if the coordinates of a file contradict the declared space.

    The error names the file (`place`), the first wrong rows (`names` has the name of each row), and
    the spaces that would fit.
    """
    if not len(coordinates.values):
        return
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    wrong = _is_wrong(units)
    if not _contradicts(units, wrong) and not _in_corner(coordinates, units, space):
        return
    fitting = [
        str(other) for other in _other_spaces(coordinates, space) if _fits(coordinates, other)
    ]
    if not wrong.any() and not fitting:
        return
    raise InputError(
        _fault(coordinates, units, wrong, space, names), place,
        f"{' or '.join(repr(one) for one in fitting[:3])} would fit: set `space`."
        if fitting
        else "No known space would fit; `trust: true` accepts the coordinates unchecked.",
    )  # fmt: skip


def is_impossible(units: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: true for boxes or points that are not finite, are inverted, or are outside
    the image by more than its size.

    `is_impossible([[0, 0, 1000, 1000], [500, 0, 100, 9], [0, 0, 2500, 9]]) -> [False, True, True]`
    """
    near: np.ndarray = np.all(np.abs(units - UNITS / 2) <= 1.5 * UNITS, axis=1)  # False for nan
    impossible: np.ndarray = ~near | _is_inverted(units)
    return impossible


def _is_inverted(units: np.ndarray) -> np.ndarray:
    if units.shape[1] == 2:
        return np.zeros(len(units), bool)
    inverted: np.ndarray = np.any(units[:, :2] > units[:, 2:] + SLACK, axis=1)
    return inverted


def _is_wrong(units: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: true for boxes or points that are outside the image, and for inverted
    boxes."""
    inside: np.ndarray = np.all((units >= -SLACK) & (units <= UNITS + SLACK), axis=1)
    wrong: np.ndarray = ~inside | _is_inverted(units)
    return wrong


def _contradicts(units: np.ndarray, wrong: np.ndarray) -> bool:
    if wrong.mean() <= MAX_WRONG_SHARE:
        return False
    far = is_impossible(units) & ~_is_inverted(units)
    return bool(far.any() or (wrong.sum() >= MIN_BOXES and len(wrong) >= MIN_BOXES))


def _in_corner(coordinates: Coordinates, units: np.ndarray, space: Space) -> bool:
    """Whether all coordinates are so close to the upper left corner that they must have a smaller
    scale."""
    if space.unit != "fraction" and len(units) >= MIN_BOXES and coordinates.values.max() <= 1:
        return True
    on_large = units[coordinates.sizes.min(axis=1) >= LARGE_SIDE]
    return len(on_large) >= MIN_IN_CORNER and bool(on_large.max() < CORNER)


def _other_spaces(coordinates: Coordinates, space: Space) -> Iterator[Space]:
    """Yields all spaces except `space`. Spaces that differ from it in only one property come
    first."""
    is_boxes = coordinates.what == "boxes"
    forms = get_args(Form) if is_boxes else ("xyxy", "yxyx")
    own = space.form if is_boxes else ("yxyx" if space.y_first else "xyxy")
    every = [Space(form=f, unit=u, exif=space.exif) for f in forms for u in get_args(Unit)]
    every.sort(key=lambda other: (other.form != own) + (other.unit != space.unit))
    return (other for other in every if (other.form, other.unit) != (own, space.unit))


def _fits(coordinates: Coordinates, space: Space) -> bool:
    """Whether nearly all coordinates are valid in a space and are spread over the images."""
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    return bool(_is_wrong(units).mean() <= MAX_FITTING_SHARE and units.max() >= 2 * CORNER)


def _fault(
    coordinates: Coordinates,
    units: np.ndarray,
    wrong: np.ndarray,
    space: Space,
    names: Sequence[str],
) -> str:
    what, count = coordinates.what, len(wrong)
    if not wrong.any():
        return (
            f"all {count} {what} lie in the first quarter of their images as {str(space)!r}: "
            f"no number is over {coordinates.values.max():g}."
        )
    first = int(np.flatnonzero(wrong)[0])
    value = "[" + ", ".join(f"{number:g}" for number in coordinates.values[first]) + "]"
    width, height = coordinates.sizes[first]
    rows = [names[row] for row in dict.fromkeys(coordinates.rows[wrong].tolist())]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return (
        f"{int(wrong.sum())} of {count} {what} contradict {str(space)!r}: {value}, on an image of "
        f"{width:g} x {height:g}, would be at {_rounded(units[first])} of 1000. Rows "
        f"{', '.join(rows[:5])}{more}."
    )


def _rounded(units: np.ndarray) -> str:
    return "[" + ", ".join(f"{number:.0f}" for number in units) + "]"
