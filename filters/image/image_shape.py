"""The step `image_shape`: drops records by the sizes and aspect ratios of their images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from manifests.errors import RowError
from manifests.geometry.shown_sizes import UNKNOWN_SIZE
from manifests.record.images import image_rows, reduce_by_record
from manifests.step import Bound, Context, Measured, RowErrors, RowStep, reasons


class ImageShape(RowStep):
    """Drop records with an image that is too small, too large or too elongated.

    A record is dropped if any of its images is out of bounds. The measures are computed over all
    images of a record: the smallest shorter side, the largest longer side, the largest aspect
    (longer side divided by shorter side), and the smallest and largest number of pixels. A record
    without images is kept, and its measures are null. Sizes come from `media`, where the reader
    wrote them, so nothing is decoded. A record with an image of unknown size is quarantined.

    Source: DataComp's basic filter keeps a shorter side of at least 200 and an aspect of at most 3.
    """

    min_side: Annotated[PositiveInt | None, Bound()] = Field(
        None, description="smallest shorter side, in pixels; null: no bound"
    )
    max_side: Annotated[PositiveInt | None, Bound()] = Field(
        None, description="largest longer side, in pixels; null: no bound"
    )
    max_aspect: Annotated[float | None, Bound()] = Field(
        None, ge=1, description="largest ratio of longer to shorter side; null: no bound"
    )
    min_pixels: Annotated[PositiveInt | None, Bound()] = Field(
        None, description="smallest width x height; null: no bound"
    )
    max_pixels: Annotated[PositiveInt | None, Bound()] = Field(
        None, description="largest width x height; null: no bound"
    )

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "min_side": pa.int32(),
            "max_side": pa.int32(),
            "max_aspect": pa.float64(),
            "min_pixels": pa.int64(),
            "max_pixels": pa.int64(),
        }

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        rows, images = image_rows(batch["media"])
        width, height = _sizes(images, "width"), _sizes(images, "height")
        errors = RowErrors(batch.num_rows)
        for row in rows[(width < 1) | (height < 1)].tolist():
            errors.add(row, RowError(UNKNOWN_SIZE))
        return Measured(_measures(rows, width, height, batch.num_rows), errors)

    def decide(self, measured: pa.Table) -> pa.Array:
        rules = []
        if self.min_side is not None:
            rules.append((pc.less(measured["min_side"], self.min_side), "image too small"))
        if self.max_side is not None:
            rules.append((pc.greater(measured["max_side"], self.max_side), "image too large"))
        if self.max_aspect is not None:
            rules.append(
                (pc.greater(measured["max_aspect"], self.max_aspect), "image too elongated")
            )
        if self.min_pixels is not None:
            rules.append((pc.less(measured["min_pixels"], self.min_pixels), "too few pixels"))
        if self.max_pixels is not None:
            rules.append((pc.greater(measured["max_pixels"], self.max_pixels), "too many pixels"))
        return reasons(measured.num_rows, *rules)


def _sizes(images: pa.Array, side: str) -> np.ndarray:
    """Returns one side of each image ("width" or "height") in pixels, int64; 0 if unknown."""
    return np.asarray(pc.struct_field(images, side).fill_null(0).cast(pa.int64()))


def _measures(
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
