"""Makes the table of grounding records: the columns of images, and the column `objects`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.coordinates import ReadyImage
from curate.ingest.images import OpenedImage
from curate.ingest.meta import to_json
from curate.ingest.reader import Reader
from manifests import record
from manifests.record.objects import objects_column, to_lists
from manifests.storage import File
from manifests.text.json_values import dump_json


class Units(NamedTuple):
    """The coordinates of all annotations of a batch, where 1000 stands for the width or the height
    of the image: boxes (n, 4), points (n, 2) and polygon vertices (n, 2), in the order of the
    annotations. An annotation without a box has no row in `boxes`."""

    boxes: np.ndarray
    points: np.ndarray
    vertices: np.ndarray


def record_table(
    reader: Reader, file: File, images: Sequence[ReadyImage], units: Units
) -> pa.Table:
    """Makes one record for each image, in the record schema."""
    annotated = [image.annotated for image in images]
    base = record.captions(
        reader.name,
        [reader.key(one.file or file, one.within) for one in annotated],
        pa.array([reader.origin(one.file or file, one.within) for one in annotated], pa.string()),
        pa.array([one.text for one in annotated], pa.string()),
        _image_columns(images),
        pa.array([_meta(one) for one in annotated], pa.string()),
    )
    counts = np.array([len(one.annotations) for one in annotated], np.int64)
    annotations = [
        _marked(own, one) if one.partial else own for one in annotated for own in one.annotations
    ]
    column = base.schema.get_field_index
    base = base.set_column(column("objects"), "objects", _objects(counts, annotations, units))
    return base.set_column(column("modality"), "modality", pa.repeat("grounding", len(images)))


def _meta(annotated: AnnotatedImage) -> str | None:
    meta = record.with_lost(annotated.meta, annotations=annotated.lost)
    if annotated.absent is not None:
        meta[record.ABSENT] = sorted(annotated.absent)
    return to_json(meta) if meta else None


def _marked(annotation: Annotation, image: AnnotatedImage) -> Annotation:
    if annotation.label not in image.partial:
        return annotation
    return annotation._replace(attributes={**(annotation.attributes or {}), record.PARTIAL: True})


def _image_columns(images: Sequence[ReadyImage]) -> record.ImageColumns:
    opened = [
        (image.annotated.image.reference, image.annotated.image.header, image.orientation)
        for image in images
        if isinstance(image.annotated.image, OpenedImage)
    ]
    cameras = [image.annotated.camera for image in images]
    columns = record.ImageColumns.from_images(opened)
    return columns._replace(camera=pa.array(cameras, pa.list_(pa.float32())))


def _objects(counts: np.ndarray, annotations: list[Annotation], units: Units) -> pa.Array:
    return objects_column(
        counts,
        label=pa.array([one.label for one in annotations], pa.string()),
        media=pa.array(np.zeros(len(annotations), np.int32)),
        box=to_lists(_with_gaps(units.boxes, [one.box is not None for one in annotations])),
        point=to_lists(_with_gaps(units.points, [one.point is not None for one in annotations])),
        polygon=_polygons(annotations, units.vertices),
        box3d=pa.array([one.box3d for one in annotations], pa.list_(pa.float32())),
        text=pa.array([one.text for one in annotations], pa.string()),
        attributes=pa.array([_attributes(one) for one in annotations], pa.string()),
    )


def _attributes(annotation: Annotation) -> str | None:
    return dump_json(annotation.attributes) if annotation.attributes else None


def _with_gaps(values: np.ndarray, has: list[bool]) -> np.ndarray:
    """Inserts a row of nan wherever `has` is false. `values` has one row for each true in `has`.

    `_with_gaps([[1, 2]], [False, True]) -> [[nan, nan], [1, 2]]`
    """
    out = np.full((len(has), values.shape[1]), np.nan)
    out[np.array(has, bool)] = values
    return out


def _polygons(annotations: list[Annotation], vertices: np.ndarray) -> pa.Array:
    has = np.array([one.polygon is not None for one in annotations], bool)
    counts = np.array([len(one.polygon or ()) for one in annotations], np.int64)
    lengths = np.array([len(ring) for one in annotations for ring in one.polygon or ()], np.int64)
    flat = pa.array(vertices.astype(np.float32).reshape(-1))
    rings = pa.ListArray.from_arrays(_offsets(lengths), flat)
    return pa.ListArray.from_arrays(_offsets(counts), rings, mask=pa.array(~has))


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
