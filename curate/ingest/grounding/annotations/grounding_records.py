"""Images with annotated objects, as files have them, made into grounding records.

A reader says what it read, number by number as the file has it, and in which space; this one place
turns whole batches of numbers into [0,1000], and refuses those that contradict the space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from pydantic import Field

from curate.ingest.grounding.annotations.space_check import ENOUGH, Numbers, check, impossible
from curate.ingest.images import OpenedImage
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Failure, ReadBatch, Reader
from manifests import record
from manifests.errors import RowError
from manifests.geometry.orientation import boxes_as_shown, points_as_shown
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import Space, SpaceSetting, boxes_to_units, points_to_units
from manifests.record.objects import objects_column, to_lists
from manifests.storage import File

SpaceOverride = Annotated[
    SpaceSetting | None, Field(description="space of the numbers; null: the format's")
]
TrustSetting = Annotated[
    bool, Field(description="take the numbers as they are, though they contradict the space")
]
ASPECT_TOLERANCE = 0.02
"""Sizes whose aspects differ by more are not of one image (ours: thumbnails are rounded)."""


class Annotation(NamedTuple):
    """One annotated object, its numbers as the file has them, in the space of the reader.

    `polygon`: rings of x y x y ...; `box3d`: 9 numbers as the record has them (metres, radians);
    `attributes`: whatever else the annotation says.
    """

    label: str | None = None
    box: Sequence[float] | None = None
    point: Sequence[float] | None = None
    polygon: Sequence[Sequence[float]] | None = None
    box3d: Sequence[float] | None = None
    text: str | None = None
    attributes: dict[str, Any] | None = None


class AnnotatedImage(NamedTuple):
    """An image and what is annotated on it, or why it is none; `within`: its place in the file.

    `size`: width and height of the image that the numbers are of, where the file tells them.
    `text`: a caption. `camera`: fx fy cx cy. `file`: its own, where samples of many small files
    are handed over together, so that the space is checked over all of them.
    """

    within: Any
    image: OpenedImage | RowError
    annotations: Sequence[Annotation] = ()
    size: tuple[float, float] | None = None
    text: str | None = None
    meta: dict[str, Any] | None = None
    camera: Sequence[float] | None = None
    file: File | None = None


class _Placed(NamedTuple):
    """A sample whose image opened: how it is shown, and the size that its numbers are of."""

    sample: AnnotatedImage
    orientation: int
    size: tuple[float, float]


def grounding_records(
    reader: Reader,
    file: File,
    samples: Sequence[AnnotatedImage],
    space: Space,
    context: Context,
    trust: bool = False,
) -> ReadBatch:
    """Grounding records of the samples, and the failures of those that are none.

    `file`: what they are read from, or the first of several files, each sample naming its own.
    Raises InputError where the numbers contradict the space; `trust` lets them.
    """
    placed: list[_Placed] = []
    failed: list[tuple[AnnotatedImage, RowError]] = []
    for sample in samples:
        try:
            placed.append(_placed(sample, space, context))
        except RowError as error:
            failed.append((sample, error))
    told = [_name(one.sample) for one in placed]
    numbers, broken = _numbers(placed)
    if not trust:
        for some in numbers.telling:
            check(some, space, file.uri, told)
    boxes = _turned(boxes_to_units(*numbers.boxes[:2], space), numbers.boxes.rows, placed, space)
    points = _turned(
        points_to_units(*numbers.points[:2], space), numbers.points.rows, placed, space
    )
    rings = _turned(points_to_units(*numbers.rings[:2], space), numbers.rings.rows, placed, space)
    for some, units in ((numbers.boxes, boxes), (numbers.points, points), (numbers.rings, rings)):
        for at in np.flatnonzero(impossible(units)).tolist():
            broken.setdefault(int(some.rows[at]), _impossible(some, at, space))
    failed += [(placed[row].sample, error) for row, error in broken.items()]
    table = _table(reader, file, placed, numbers, boxes, points, rings)
    if broken:
        whole = np.ones(len(placed), bool)
        whole[list(broken)] = False
        table = table.filter(pa.array(whole))
    return ReadBatch(table, [_failure(reader, file, sample, error) for sample, error in failed])


def _name(sample: AnnotatedImage) -> str:
    """How an error names a sample."""
    return str(sample.within) if sample.file is None else sample.file.name


def _placed(sample: AnnotatedImage, space: Space, context: Context) -> _Placed:
    if isinstance(sample.image, RowError):
        raise sample.image
    header, orientation = sample.image.header, sample.image.orientation
    if orientation is None:
        orientation = context.media.orientation(sample.image.reference)
    stored = float(header.width), float(header.height)
    seen = stored[::-1] if space.exif == "shown" and orientation in TRANSPOSED else stored
    if sample.size is None:
        return _Placed(sample, orientation, seen)
    width, height = sample.size
    if not (width > 0 and height > 0):
        raise RowError(f"annotated on an image of {width:g} x {height:g}")
    if abs(width / height * seen[1] / seen[0] - 1) > ASPECT_TOLERANCE:
        other = "stored" if space.exif == "shown" else "shown"
        fits = orientation in TRANSPOSED and (width, height) == seen[::-1]
        raise RowError(
            f"annotated on an image of {width:g} x {height:g}, this one is {seen[0]:g} x "
            f"{seen[1]:g} as it is {space.exif}.",
            sample.image.reference.uri,
            f"A space of `exif: {other}` would fit." if fits else "It is another image.",
        )
    return _Placed(sample, orientation, (float(width), float(height)))


class _AllNumbers(NamedTuple):
    """All boxes, points and places of rings, with the sizes and rows they are of; and which of
    the flat objects have one."""

    boxes: Numbers
    points: Numbers
    rings: Numbers

    @property
    def telling(self) -> Iterator[Numbers]:
        """Those that say something of the space: the places of few polygons are few annotations."""
        yield from (self.boxes, self.points)
        if len(np.unique(self.rings.rows)) >= ENOUGH:
            yield self.rings


def _numbers(placed: list[_Placed]) -> tuple[_AllNumbers, dict[int, RowError]]:
    broken: dict[int, RowError] = {}
    try:
        return _gathered(placed), broken
    except (TypeError, ValueError):
        for row, one in enumerate(placed):
            try:
                _gathered([one])
            except (TypeError, ValueError):
                broken[row] = _not_numbers(one.sample)
                placed[row] = one._replace(sample=one.sample._replace(annotations=()))
        return _gathered(placed), broken


def _gathered(placed: list[_Placed]) -> _AllNumbers:
    sizes = np.array([one.size for one in placed], np.float64).reshape(-1, 2)
    boxes: list[Sequence[float]] = []
    points: list[Sequence[float]] = []
    rings: list[Sequence[float]] = []
    rows: tuple[list[int], list[int], list[int]] = ([], [], [])
    for row, one in enumerate(placed):
        for annotation in one.sample.annotations:
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
    flat = _array(list(chain.from_iterable(rings)), 1).reshape(-1, 2)
    found = (_array(boxes, 4), _array(points, 2), flat)
    numbers = [
        Numbers(values, sizes[where], where)
        for values, where in zip(found, (np.array(r, np.int64) for r in rows), strict=True)
    ]
    return _AllNumbers(*numbers)


def _array(values: list[Any], numbers: int) -> np.ndarray:
    """(n, numbers) float64, or (n,) of one each. TypeError or ValueError where they are not so
    many, or no numbers."""
    array = np.array(values)
    shape = (len(values), numbers)[: min(numbers, 2)]
    if len(values) and (array.dtype.kind not in "iuf" or array.shape != shape):
        raise TypeError
    return array.astype(np.float64).reshape(shape)


def _not_numbers(sample: AnnotatedImage) -> RowError:
    for number, annotation in enumerate(sample.annotations):
        alone = {
            "4 numbers": Annotation(box=annotation.box),
            "2 numbers": Annotation(point=annotation.point),
            "rings of x y x y ...": Annotation(polygon=annotation.polygon),
        }
        for wanted, one in alone.items():
            try:
                _gathered([_Placed(sample._replace(annotations=[one]), 1, (1.0, 1.0))])
            except (TypeError, ValueError):
                value = one.box or one.point or one.polygon
                return RowError(f"object {number}: {value!r:.80} is not {wanted}")
    raise AssertionError(sample)


def _impossible(numbers: Numbers, at: int, space: Space) -> RowError:
    value = ", ".join(f"{number:g}" for number in numbers.values[at])
    width, height = numbers.sizes[at]
    return RowError(
        f"[{value}] is in no way on an image of {width:g} x {height:g}, as {str(space)!r}.",
        fix="Fix the annotation, or leave it in quarantine.",
    )


def _turned(units: np.ndarray, rows: np.ndarray, placed: list[_Placed], space: Space) -> np.ndarray:
    """Places on the images as they are shown."""
    if space.exif == "shown" or not len(units):
        return units
    orientation = np.array([one.orientation for one in placed])[rows]
    turn = boxes_as_shown if units.shape[1] == 4 else points_as_shown
    return turn(units, orientation)


def _table(
    reader: Reader,
    file: File,
    placed: list[_Placed],
    numbers: _AllNumbers,
    boxes: np.ndarray,
    points: np.ndarray,
    rings: np.ndarray,
) -> pa.Table:
    samples = [one.sample for one in placed]
    images = [sample.image for sample in samples if isinstance(sample.image, OpenedImage)]
    base = record.captions(
        reader.name,
        [reader.key(sample.file or file, sample.within) for sample in samples],
        pa.array([reader.origin(s.file or file, s.within) for s in samples], pa.string()),
        pa.array([sample.text for sample in samples], pa.string()),
        record.ImageColumns(
            uri=pa.array([p.reference.uri for p in images], pa.string()),
            offset=pa.array([p.reference.offset for p in images], pa.int64()),
            length=pa.array([p.reference.length for p in images], pa.int64()),
            mime=pa.array([p.header.mime for p in images], pa.string()),
            width=pa.array([p.header.width for p in images], pa.int32()),
            height=pa.array([p.header.height for p in images], pa.int32()),
            orientation=pa.array([one.orientation for one in placed], pa.int8()),
            camera=pa.array([sample.camera for sample in samples], pa.list_(pa.float32())),
        ),
        pa.array([_meta(sample) for sample in samples], pa.string()),
    )
    objects = _objects(samples, boxes, points, rings)
    at = base.schema.get_field_index
    base = base.set_column(at("objects"), "objects", objects)
    return base.set_column(at("modality"), "modality", pa.repeat("grounding", len(samples)))


def _meta(sample: AnnotatedImage) -> str | None:
    return to_json(sample.meta) if sample.meta else None


def _objects(
    samples: list[AnnotatedImage], boxes: np.ndarray, points: np.ndarray, rings: np.ndarray
) -> pa.Array:
    annotations = [annotation for sample in samples for annotation in sample.annotations]
    counts = np.array([len(sample.annotations) for sample in samples], np.int64)
    return objects_column(
        counts,
        label=pa.array([annotation.label for annotation in annotations], pa.string()),
        media=pa.array(np.zeros(len(annotations), np.int32)),
        box=to_lists(_spread(boxes, [annotation.box is not None for annotation in annotations])),
        point=to_lists(
            _spread(points, [annotation.point is not None for annotation in annotations])
        ),
        polygon=_polygons(annotations, rings),
        box3d=pa.array([annotation.box3d for annotation in annotations], pa.list_(pa.float32())),
        text=pa.array([annotation.text for annotation in annotations], pa.string()),
        attributes=pa.array([_attributes(annotation) for annotation in annotations], pa.string()),
    )


def _attributes(annotation: Annotation) -> str | None:
    return orjson.dumps(annotation.attributes).decode() if annotation.attributes else None


def _spread(values: np.ndarray, has: list[bool]) -> np.ndarray:
    out = np.full((len(has), values.shape[1]), np.nan)
    out[np.array(has, bool)] = values
    return out


def _polygons(annotations: list[Annotation], rings: np.ndarray) -> pa.Array:
    has = np.array([annotation.polygon is not None for annotation in annotations], bool)
    counts = np.array([len(annotation.polygon or ()) for annotation in annotations], np.int64)
    lengths = np.array([len(ring) for t in annotations for ring in t.polygon or ()], np.int64)
    flat = pa.array(rings.astype(np.float32).reshape(-1))
    inner = pa.ListArray.from_arrays(_offsets(lengths), flat)
    return pa.ListArray.from_arrays(_offsets(counts), inner, mask=pa.array(~has))


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))


def _failure(reader: Reader, file: File, sample: AnnotatedImage, error: RowError) -> Failure:
    own = sample.file or file
    key, origin = reader.key(own, sample.within), reader.origin(own, sample.within)
    return Failure(key, origin, type(error).__name__, str(error))
