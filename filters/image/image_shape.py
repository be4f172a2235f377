"""How large and how elongated the images of a record are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from manifests.media import Media
from manifests.record.images import image_rows, reduce_by_record
from manifests.step import Outcome, RowStep, reasons


class ImageShape(RowStep):
    """Drop records with an image that is too small, too large or too elongated.

    A record goes if any of its images is out of bounds. What is measured over them: the smallest
    shorter side, the largest longer side, the largest aspect (longer by shorter side), the fewest
    and the most pixels; nothing where there is no image, and such records stay. Sizes are those in
    the files' headers, so nothing is decoded; a record with an image of unknown size is
    quarantined.

    Source: DataComp's basic filter keeps a shorter side of at least 200 and an aspect of at most 3.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "min_side": pa.int32(),
        "max_side": pa.int32(),
        "max_aspect": pa.float64(),
        "min_pixels": pa.int64(),
        "max_pixels": pa.int64(),
    }

    min_side: PositiveInt | None = Field(None, description="shorter side at least, in pixels")
    max_side: PositiveInt | None = Field(None, description="longer side at most, in pixels")
    max_aspect: float | None = Field(None, ge=1, description="longer by shorter side at most")
    min_pixels: PositiveInt | None = Field(None, description="width x height at least")
    max_pixels: PositiveInt | None = Field(None, description="width x height at most")

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        rows, images = image_rows(batch["media"])
        width, height = _sizes(images, "width"), _sizes(images, "height")
        unknown = (width < 1) | (height < 1)
        columns = _measured(rows, width, height, batch.num_rows)
        error = np.zeros(batch.num_rows, bool)
        error[rows[unknown]] = True
        columns = {n: pc.if_else(error, None, values) for n, values in columns.items()}
        said = reasons(batch.num_rows, (error, "an image of unknown size"))
        return Outcome(columns, self._drops(columns, batch.num_rows), said)

    def _drops(self, columns: dict[str, pa.Array], records: int) -> pa.Array:
        rules = []
        if self.min_side is not None:
            rules.append((pc.less(columns["min_side"], self.min_side), "image too small"))
        if self.max_side is not None:
            rules.append((pc.greater(columns["max_side"], self.max_side), "image too large"))
        if self.max_aspect is not None:
            rules.append(
                (pc.greater(columns["max_aspect"], self.max_aspect), "image too elongated")
            )
        if self.min_pixels is not None:
            rules.append((pc.less(columns["min_pixels"], self.min_pixels), "too few pixels"))
        if self.max_pixels is not None:
            rules.append((pc.greater(columns["max_pixels"], self.max_pixels), "too many pixels"))
        return reasons(records, *rules)


def _sizes(images: pa.Array, side: str) -> np.ndarray:
    """Widths or heights as int64, 0 where unknown."""
    return np.asarray(pc.struct_field(images, side).fill_null(0).cast(pa.int64()))


def _measured(
    rows: np.ndarray, width: np.ndarray, height: np.ndarray, records: int
) -> dict[str, pa.Array]:
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    aspect, pixels = longer / np.maximum(shorter, 1), width * height
    return {
        "min_side": reduce_by_record(np.minimum, rows, shorter.astype(np.int32), records),
        "max_side": reduce_by_record(np.maximum, rows, longer.astype(np.int32), records),
        "max_aspect": reduce_by_record(np.maximum, rows, aspect, records),
        "min_pixels": reduce_by_record(np.minimum, rows, pixels, records),
        "max_pixels": reduce_by_record(np.maximum, rows, pixels, records),
    }
