"""Whether numbers contradict the space they are said to be in, and which space would fit.

All thresholds here are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, get_args

import numpy as np

from manifests.errors import InputError
from manifests.geometry.space import UNITS, Form, Space, Unit, boxes_to_units, points_to_units

SLACK = 10.0
"""Thousandths that a box may reach out of its image, or be inverted by: annotators round."""
WRONG_SHARE = 0.25
"""Of more boxes than this the space is to blame; of fewer, the annotators of those."""
FITTING_SHARE = 0.01
"""In a space that fits, no more boxes than this are wrong."""
ENOUGH = 3
"""Boxes from which on their form alone can tell that the space is wrong."""
CRAMPED, CRAMPED_ENOUGH, LARGE = 250.0, 50, 400
"""That so many boxes all lie in the first quarter of both sides of large images (pixels of the
shorter side) is no chance."""

ToUnits = Callable[[np.ndarray, np.ndarray, Space], np.ndarray]


class Numbers(NamedTuple):
    """Boxes (n, 4) or points (n, 2) as a file has them, the sizes (n, 2) of their images, and
    the number of the row that each is of (n,)."""

    values: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray

    @property
    def to_units(self) -> ToUnits:
        return boxes_to_units if self.values.shape[1] == 4 else points_to_units

    @property
    def what(self) -> str:
        return "boxes" if self.values.shape[1] == 4 else "points"


def impossible(units: np.ndarray) -> np.ndarray:
    """(n,) bool: no box or point of the image at all: not finite, inverted, or far outside."""
    near: np.ndarray = np.all(np.abs(units - UNITS / 2) <= 1.5 * UNITS, axis=1)  # not of nan
    found: np.ndarray = ~near | _inverted(units)
    return found


def check(numbers: Numbers, space: Space, place: str, names: Sequence[str]) -> None:
    """Raises InputError where the numbers of a file contradict the space; it names the file,
    rows (by `names`, one for each row) and the spaces that would fit."""
    if not len(numbers.values):
        return
    units = numbers.to_units(numbers.values, numbers.sizes, space)
    wrong = _wrong(units)
    if not _contradicted(units, wrong) and not _cramped(numbers, units, space):
        return
    fitting = [str(other) for other in _others(numbers, space) if _fits(numbers, other)]
    if not wrong.any() and not fitting:
        return
    raise InputError(
        _told(numbers, units, wrong, space, names), place,
        f"{' or '.join(repr(one) for one in fitting[:3])} would fit: set `space`."
        if fitting
        else "No space that is known would fit; `trust: true` takes the numbers as they are.",
    )  # fmt: skip


def _inverted(units: np.ndarray) -> np.ndarray:
    if units.shape[1] == 2:
        return np.zeros(len(units), bool)
    inverted: np.ndarray = np.any(units[:, :2] > units[:, 2:] + SLACK, axis=1)
    return inverted


def _wrong(units: np.ndarray) -> np.ndarray:
    inside: np.ndarray = np.all((units >= -SLACK) & (units <= UNITS + SLACK), axis=1)
    wrong: np.ndarray = ~inside | _inverted(units)
    return wrong


def _contradicted(units: np.ndarray, wrong: np.ndarray) -> bool:
    if wrong.mean() <= WRONG_SHARE:
        return False
    far = impossible(units) & ~_inverted(units)
    return bool(far.any() or (wrong.sum() >= ENOUGH and len(wrong) >= ENOUGH))


def _cramped(numbers: Numbers, units: np.ndarray, space: Space) -> bool:
    if space.unit != "fraction" and len(units) >= ENOUGH and numbers.values.max() <= 1:
        return True
    told = units[numbers.sizes.min(axis=1) >= LARGE]
    return len(told) >= CRAMPED_ENOUGH and bool(told.max() < CRAMPED)


def _others(numbers: Numbers, space: Space) -> Iterator[Space]:
    """The other spaces, those that differ in one annotation first."""
    forms = get_args(Form) if numbers.what == "boxes" else ("xyxy", "yxyx")
    own = space.form if numbers.what == "boxes" else ("yxyx" if space.y_first else "xyxy")
    every = [Space(form=f, unit=u, exif=space.exif) for f in forms for u in get_args(Unit)]
    every.sort(key=lambda other: (other.form != own) + (other.unit != space.unit))
    return (other for other in every if (other.form, other.unit) != (own, space.unit))


def _fits(numbers: Numbers, space: Space) -> bool:
    """Whether nearly all are right, and they use the image."""
    units = numbers.to_units(numbers.values, numbers.sizes, space)
    return bool(_wrong(units).mean() <= FITTING_SHARE and units.max() >= 2 * CRAMPED)


def _told(
    numbers: Numbers, units: np.ndarray, wrong: np.ndarray, space: Space, names: Sequence[str]
) -> str:
    what, count = numbers.what, len(wrong)
    if not wrong.any():
        return (
            f"all {count} {what} lie in the first quarter of their images as {str(space)!r}: "
            f"no number is over {numbers.values.max():g}."
        )
    first = int(np.flatnonzero(wrong)[0])
    value = "[" + ", ".join(f"{number:g}" for number in numbers.values[first]) + "]"
    width, height = numbers.sizes[first]
    rows = [names[row] for row in dict.fromkeys(numbers.rows[wrong].tolist())]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return (
        f"{int(wrong.sum())} of {count} {what} contradict {str(space)!r}: {value}, on an image of "
        f"{width:g} x {height:g}, would be at {_rounded(units[first])} of 1000. Rows "
        f"{', '.join(rows[:5])}{more}."
    )


def _rounded(units: np.ndarray) -> str:
    return "[" + ", ".join(f"{number:.0f}" for number in units) + "]"
