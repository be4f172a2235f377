"""Makes grounding records from batches of annotated images.

A reader passes coordinates exactly as the file has them. This module converts them to [0,1000], and
rejects coordinates that contradict their declared space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa

from curate.ingest.evidence import Findings
from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.grounding.annotations.coordinates import (
    BatchCoordinates,
    ReadyImage,
    gather,
    malformed,
    to_units,
)
from curate.ingest.grounding.annotations.record_table import Units, record_table
from curate.ingest.grounding.annotations.space_check import (
    MIN_BOXES,
    Coordinates,
    check_evidence,
    is_impossible,
    space_evidence,
)
from curate.ingest.images import OpenedImage
from curate.ingest.reader import Context, Failure, ReadBatch, Reader
from manifests.errors import RowError
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import Space
from manifests.storage import File

ASPECT_TOLERANCE = 0.02
"""Largest relative difference between the aspect ratios of the size that a file states and of the
image (our choice: the sides of a thumbnail are rounded). With a larger difference, the annotations
are not those of this image."""
MIN_IMAGES = {"boxes": 1, "points": 1, "vertices": MIN_BOXES}
"""For each kind of coordinates, the smallest number of images that can prove a declared space
wrong (our choice). It is larger for polygon vertices, because one annotation may have many of
them."""


def grounding_records(
    reader: Reader,
    file: File,
    images: Sequence[AnnotatedImage],
    space: Space,
    context: Context,
    trust: bool = False,
    turned_sizes: bool = False,
) -> ReadBatch:
    """Makes a record or a failure for each image.

    `file` is the annotation file, or the first annotation file if each image has its own. If
    `turned_sizes` is true, the size that the annotation file states may be the size of the image
    before, or after, its Exif rotation. Unless `trust` is true, the result also has counts and
    examples (evidence) that show whether the coordinates fit `space`, and InputError is raised if
    this batch alone shows that the coordinates do not fit.
    """
    ready: list[ReadyImage] = []
    failed: list[tuple[AnnotatedImage, RowError]] = []
    for image in images:
        try:
            ready.append(_ready(image, space, context, turned_sizes))
        except RowError as error:
            failed.append((image, error))
    ready, coordinates, errors = _gather(ready)
    found = {} if trust else _evidence(coordinates, space, file, ready)
    converted = Units(*[to_units(some, ready, space) for some in coordinates])
    errors |= _impossible(coordinates, converted, space)
    failed += [(ready[row].annotated, error) for row, error in errors.items()]
    with np.errstate(over="ignore"):  # numbers too large for a record have an error
        table = record_table(reader, file, ready, converted)
    if errors:
        table = table.filter(pa.array([row not in errors for row in range(len(ready))]))
    failures = [_failure(reader, file, image, error) for image, error in failed]
    units = sum(one.annotated.units for row, one in enumerate(ready) if row not in errors)
    return ReadBatch(table, failures, units=units, evidence=found)


def check_spaces(evidence: Findings, place: str) -> None:
    """Raises InputError if the coordinates of a source do not fit the space in which they were
    read. `evidence` has counts and examples of the coordinates of all files. `place` is the path of
    the source."""
    for question, one in evidence.items():
        if not question.startswith("["):  # it is about something else
            continue
        what, space = orjson.loads(question)
        check_evidence(one, Space(**space), place, MIN_IMAGES[what])


def _evidence(
    coordinates: BatchCoordinates, space: Space, file: File, images: Sequence[ReadyImage]
) -> Findings:
    """Returns counts and examples (evidence) that show whether the coordinates of a batch fit the
    space, for each kind of coordinates (boxes, points, vertices). A key of the result is the JSON
    of [kind, space]. Raises InputError if this batch alone shows that the coordinates do not fit.
    """
    names = [_name(image.annotated) for image in images]
    return {
        orjson.dumps([what, space.model_dump(mode="json")]).decode(): space_evidence(
            some, space, file.uri, names, MIN_IMAGES[what]
        )
        for what, some in coordinates.by_name.items()
    }


def _name(image: AnnotatedImage) -> str:
    return str(image.within) if image.file is None else image.file.name


def _failure(reader: Reader, file: File, image: AnnotatedImage, error: RowError) -> Failure:
    own = image.file or file
    key, origin = reader.key(own, image.within), reader.origin(own, image.within)
    return Failure.of(key, origin, error, image.units, rows=1)


def _ready(
    annotated: AnnotatedImage, space: Space, context: Context, turned_sizes: bool
) -> ReadyImage:
    """Returns the annotated image with its Exif orientation and the image size to which the
    coordinates refer. Raises RowError if the image was not opened, or if the size that the
    annotation file states does not match the image."""
    if isinstance(annotated.image, RowError):
        raise annotated.image
    header, orientation = annotated.image.header, annotated.image.orientation
    if orientation is None:
        orientation = context.media.orientation(annotated.image.reference)
    actual = float(header.width), float(header.height)
    if space.exif == "shown" and orientation in TRANSPOSED:
        actual = actual[::-1]
    if annotated.size is None:
        return ReadyImage(annotated, orientation, actual)
    width, height = annotated.size
    if not (width > 0 and height > 0):
        raise RowError(
            f"the file states an image size of {width:g} x {height:g}, but both "
            "numbers must be above 0"
        )
    if _same_shape((width, height), actual):
        return ReadyImage(annotated, orientation, (float(width), float(height)))
    is_turned = orientation in TRANSPOSED and _same_shape((height, width), actual)
    if is_turned and turned_sizes:
        return ReadyImage(annotated, orientation, (float(height), float(width)))
    raise _other_size(annotated, actual, space, is_turned)


def _same_shape(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] / a[1] * b[1] / b[0] - 1) <= ASPECT_TOLERANCE


def _other_size(
    annotated: AnnotatedImage, actual: tuple[float, float], space: Space, is_turned: bool
) -> RowError:
    """Returns the error for an image whose size is not the size in the annotation file.

    If `is_turned` is true, width and height are swapped: the size in the annotation file is that of
    the image before (or after) its Exif rotation. Then the coordinates may refer to the image
    before or after the rotation, and the error names both possibilities.
    """
    assert annotated.size is not None
    assert isinstance(annotated.image, OpenedImage)
    stated = "{:g} x {:g}".format(*annotated.size)
    turned = "with" if space.exif == "shown" else "without"
    other = "stored" if space.exif == "shown" else "shown"
    space_setting = f"`space: {space.model_copy(update={'exif': other})}`"
    if space.resized is not None:  # a space that has no form in words
        space_setting = f"`exif: {other}` in `space`"
    fix = "Check that the annotations belong to this image: the aspect ratios differ."
    if is_turned:
        fix = (
            f"The stated size is that of the image as {other}. If the coordinates are on the "
            f"image as {other} too, set {space_setting}. If they are on the image as "
            f"{space.exif}, set `turned_sizes: true`. Look at one such image to find out."
        )
    return RowError(
        f"the annotations refer to an image of {stated}, but the image file is {actual[0]:g} x "
        f"{actual[1]:g} {turned} its Exif rotation.",
        annotated.image.reference.uri,
        fix,
    )


def _gather(
    images: list[ReadyImage],
) -> tuple[list[ReadyImage], BatchCoordinates, dict[int, RowError]]:
    """Returns the images, their coordinates, and the errors of malformed images by index. A
    malformed image is returned without its annotations."""
    try:
        return images, gather(images), {}
    except (TypeError, ValueError):
        errors = malformed(images)
    emptied = [
        image._replace(annotated=image.annotated._replace(annotations=()))
        if row in errors
        else image
        for row, image in enumerate(images)
    ]
    return emptied, gather(emptied), errors


def _impossible(coordinates: BatchCoordinates, units: Units, space: Space) -> dict[int, RowError]:
    """Returns an error, by index of the image, for each image with a box, point or vertex that is
    impossible on the image, such as one that is far outside. If an image has several impossible
    coordinates, the error shows the first."""
    errors: dict[int, RowError] = {}
    for some, converted in zip(coordinates, units, strict=True):
        for at in np.flatnonzero(is_impossible(converted)).tolist():
            errors.setdefault(int(some.rows[at]), _impossible_error(some, at, space))
    return errors


def _impossible_error(coordinates: Coordinates, at: int, space: Space) -> RowError:
    value = ", ".join(f"{number:g}" for number in coordinates.values[at])
    width, height = coordinates.sizes[at]
    return RowError(
        f"the coordinates [{value}] are impossible on an image of {width:g} x {height:g} in "
        f"the coordinate space {str(space)!r}: not finite, in reverse order, or far outside.",
        fix="Correct the annotation, or leave it in quarantine.",
    )
