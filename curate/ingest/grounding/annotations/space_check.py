"""Checks whether coordinates contradict their declared coordinate space, and finds the spaces that
the coordinates fit.

All thresholds here are our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, get_args

import numpy as np

from curate.ingest.evidence import MAX_EXAMPLES, Evidence
from manifests.errors import InputError
from manifests.geometry.space import UNITS, Form, Space, Unit, boxes_to_units, points_to_units

SLACK = 10.0
"""Largest distance in thousandths of the image's side by which a box may extend beyond its image,
or by which its corners may be in reverse order, without being wrong, because annotators round (our
choice)."""
MAX_WRONG_SHARE = 0.25
"""If more than this share of the boxes is wrong, the declared coordinate space is wrong; otherwise,
only these boxes are wrong (our choice)."""
MAX_FITTING_SHARE = 0.01
"""A coordinate space fits if at most this share of boxes is wrong in it (our choice)."""
MIN_BOXES = 3
"""If no box is far outside its image, wrong boxes are evidence against the space only if there are
at least this many of them. A batch alone is proof only if it has at least this many boxes (our
choice)."""
CORNER, MIN_IN_CORNER, LARGE_SIDE = 250.0, 50, 400
"""If there are at least MIN_IN_CORNER boxes on large images (shorter side of LARGE_SIDE pixels or
more), and all of them are within CORNER units of the upper left corner, then the coordinates are in
a smaller unit than declared (all three are our choice)."""

ToUnits = Callable[[np.ndarray, np.ndarray, Space], np.ndarray]


class Coordinates(NamedTuple):
    """Boxes (n, 4) or points (n, 2) with the numbers that the file has (`values`), the sizes of
    their images in pixels (n, 2), and the indices of these images in the batch (`rows`, of shape
    (n,))."""

    values: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray

    @property
    def to_units(self) -> ToUnits:
        return boxes_to_units if self.what == "boxes" else points_to_units

    @property
    def what(self) -> str:
        return "boxes" if self.values.shape[1] == 4 else "points"


class _Tally(NamedTuple):
    """Counts that show whether boxes or points fit a coordinate space.

    `number` is the number of boxes or points, and `images` the number of images that have them.
    `wrong` is the number of boxes or points that are outside their image or inverted. `far` is the
    number of boxes or points that are outside by more than the size of the image. `large` is the
    number of boxes or points on large images; the shorter side of a large image has at least
    LARGE_SIDE pixels. `largest` is the largest coordinate, as it is in the file; `on_large` is the
    largest coordinate on large images, in thousandths of the image.
    """

    number: int
    images: int
    wrong: int
    far: int
    large: int
    largest: float
    on_large: float

    @classmethod
    def of(cls, coordinates: Coordinates, units: np.ndarray, wrong: np.ndarray) -> _Tally:
        far = is_impossible(units) & ~_is_inverted(units)
        on_large = units[coordinates.sizes.min(axis=1) >= LARGE_SIDE]
        return cls(
            len(units),
            len(np.unique(coordinates.rows)),
            int(wrong.sum()),
            int(far.sum()),
            len(on_large),
            _largest(coordinates.values),
            _largest(on_large),
        )

    def contradicts(self, space: Space) -> bool:
        if self.wrong > MAX_WRONG_SHARE * self.number and (self.far or self.wrong >= MIN_BOXES):
            return True
        return self._in_corner(space)

    def _in_corner(self, space: Space) -> bool:
        """Whether all coordinates are so close to the upper left corner of their images that the
        coordinates must be in a smaller unit than declared."""
        if space.unit != "fraction" and self.number >= MIN_BOXES and self.largest <= 1:
            return True
        return self.large >= MIN_IN_CORNER and self.on_large < CORNER


def space_evidence(
    coordinates: Coordinates, space: Space, place: str, names: Sequence[str], min_images: int = 1
) -> Evidence:
    """Returns counts, largest numbers and examples of the coordinates of a batch (their evidence),
    which show whether the coordinates fit the declared space. `place` is the file of the
    coordinates, and `names` has the name of each image.

    Raises InputError if the batch alone is proof that the coordinates do not fit. For a proof, the
    batch must have at least MIN_BOXES boxes or points, on at least `min_images` images. The error
    names the file, the first wrong rows, and the spaces that the coordinates would fit.
    """
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    wrong = _is_wrong(units)
    tally = _Tally.of(coordinates, units, wrong)
    enough = tally.images >= min_images and tally.number >= MIN_BOXES
    if enough and tally.contradicts(space):
        rows = [names[row] for row in dict.fromkeys(coordinates.rows[wrong].tolist())]
        _refuse(tally, coordinates, space, place, _listed(rows))
    counts = {name: getattr(tally, name) for name in _COUNTS}
    largest = {name: getattr(tally, name) for name in ("largest", "on_large")}
    examples = {
        kind: [_example(coordinates, at, place, names) for at in np.flatnonzero(of)[:MAX_EXAMPLES]]
        for kind, of in (("right", ~wrong), ("wrong", wrong))
    }
    return Evidence(counts, largest, examples)


def check_evidence(evidence: Evidence, space: Space, place: str, min_images: int = 1) -> None:
    """Raises InputError if the evidence (counts, largest numbers and examples) of all coordinates
    of a source contradicts the declared space. The coordinates must be on at least `min_images`
    images. `place` is the path of the source."""
    tally = _Tally(**evidence.counts, **evidence.largest)  # type: ignore[arg-type]
    if tally.images >= min_images and tally.contradicts(space):
        examples = [*evidence.examples["wrong"], *evidence.examples["right"]]
        names, values, sizes = zip(*examples, strict=True)
        known = Coordinates(np.array(values), np.array(sizes), np.arange(len(names)))
        shown = names[: len(evidence.examples["wrong"])]
        more = " and others" if tally.wrong > len(shown) else ""
        _refuse(tally, known, space, place, ", ".join(dict.fromkeys(shown)) + more)


_COUNTS = ("number", "images", "wrong", "far", "large")


def _largest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _example(
    coordinates: Coordinates, at: int, place: str, names: Sequence[str]
) -> tuple[str, list[float], list[float]]:
    """Returns the box or point with the index `at` as (name, numbers in the file, size of the
    image). The name is the file `place` and the name of the image: `a.json#7`."""
    values, size = coordinates.values[at].tolist(), coordinates.sizes[at].tolist()
    return f"{place}#{names[int(coordinates.rows[at])]}", values, size


def _listed(rows: list[str]) -> str:
    return ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _refuse(tally: _Tally, coordinates: Coordinates, space: Space, place: str, rows: str) -> None:
    """Raises InputError for coordinates that contradict a space. If no single box or point is
    wrong, the error is raised only if the coordinates fit another space.

    `coordinates` are all coordinates that were checked, or examples of them, and `rows` is a text
    with the names of the rows that have a wrong box or point.
    """
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    fitting = [
        str(other) for other in _other_spaces(coordinates, space) if _fits(coordinates, other)
    ]
    if not tally.wrong and not fitting:
        return
    raise InputError(
        _fault(tally, coordinates, units, space, rows), place,
        (f"The coordinates would fit {' or '.join(repr(one) for one in fitting[:3])}: set "
        "`space` to it.")
        if fitting
        else ("They fit no known space. Correct the annotations, or set `trust: true`, which "
             "quarantines only coordinates that are far outside their image or in reverse order."),
    )  # fmt: skip


def is_impossible(units: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: true for a box or point that is not finite, is inverted, or is outside the
    image by more than the size of the image.

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
    """Returns (n,) bool: true for a box or point that is outside the image, and for an inverted
    box."""
    inside: np.ndarray = np.all((units >= -SLACK) & (units <= UNITS + SLACK), axis=1)
    wrong: np.ndarray = ~inside | _is_inverted(units)
    return wrong


def _other_spaces(coordinates: Coordinates, space: Space) -> Iterator[Space]:
    """Yields all spaces except `space`. Spaces that differ from `space` in only one property come
    first."""
    is_boxes = coordinates.what == "boxes"
    forms = get_args(Form) if is_boxes else ("xyxy", "yxyx")
    own = space.form if is_boxes else ("yxyx" if space.y_first else "xyxy")
    every = [Space(form=f, unit=u, exif=space.exif) for f in forms for u in get_args(Unit)]
    every.sort(key=lambda other: (other.form != own) + (other.unit != space.unit))
    return (other for other in every if (other.form, other.unit) != (own, space.unit))


def _fits(coordinates: Coordinates, space: Space) -> bool:
    """Whether at least 99 % of the boxes or points are valid in a space, and not all of them are in
    the upper left quarter of their images."""
    units = coordinates.to_units(coordinates.values, coordinates.sizes, space)
    return bool(_is_wrong(units).mean() <= MAX_FITTING_SHARE and units.max() >= 2 * CORNER)


def _fault(
    tally: _Tally, coordinates: Coordinates, units: np.ndarray, space: Space, rows: str
) -> str:
    what = coordinates.what
    if not tally.wrong:
        is_small = space.unit != "fraction" and tally.largest <= 1
        which = (
            f"all {tally.number} {what}"
            if is_small or tally.large == tally.number
            else f"all {tally.large} {what} on large images (shorter side {LARGE_SIDE} or more)"
        )
        return (
            f"in the coordinate space {str(space)!r}, {which} are in the upper left corner of "
            "their images, within a quarter of each side: the largest number is "
            f"{tally.largest:g}."
        )
    first = int(np.flatnonzero(_is_wrong(units))[0])
    value = "[" + ", ".join(f"{number:g}" for number in coordinates.values[first]) + "]"
    width, height = coordinates.sizes[first]
    return (
        f"{tally.wrong} of {tally.number} {what} do not fit the coordinate space "
        f"{str(space)!r}: for example, {value} on an image of {width:g} x {height:g} would be "
        f"{_rounded(units[first])} in thousandths of the image. Rows {rows}."
    )


def _rounded(units: np.ndarray) -> str:
    return "[" + ", ".join(f"{number:.0f}" for number in units) + "]"
