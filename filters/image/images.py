"""Number of images in a record."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.media import Media
from manifests.record.images import image_rows
from manifests.step import Outcome, RowStep
from manifests.step.bounds import check_min_max, outside


class ImageCount(RowStep):
    """Drop records with fewer than `min` or more than `max` images.

    Videos do not count. An image that the content shows at two places counts once.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int32()}

    min: NonNegativeInt | None = Field(None, description="fewest images; null: no bound")
    max: NonNegativeInt | None = Field(None, description="most images; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        rows = image_rows(batch["media"]).rows
        counts = pa.array(np.bincount(rows, minlength=batch.num_rows).astype(np.int32))
        return Outcome(
            {"count": counts}, outside(self, counts, "too few images", "too many images")
        )
