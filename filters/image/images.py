"""The step `images`: drops records by their number of images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.record.images import image_rows
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import check_min_max, outside


class ImageCount(RowStep):
    """Drop records with fewer than `min` or more than `max` images.

    Each image in `media` counts once, even if the content shows it several times. Videos do not
    count.
    """

    min: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="fewest images; null: no bound"
    )
    max: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="most images; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        rows = image_rows(batch["media"]).rows
        return {"count": pa.array(np.bincount(rows, minlength=batch.num_rows).astype(np.int32))}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(self, measured["count"], "too few images", "too many images")
