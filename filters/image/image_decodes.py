"""Whether every image of a record can be decoded."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import MediaError
from manifests.media import Media, Reference
from manifests.record.images import image_rows
from manifests.step import Outcome, RowStep


class ImageDecodes(RowStep):
    """Quarantine records with an image that cannot be decoded, with the decoder's error text.

    Every image is decoded, at the smallest scale that its codec offers. Steps of the same pass that
    need images share the decoded image. `decoded` is the number of a record's images that could be
    decoded.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"decoded": pa.int32()}
    image_side: ClassVar[int | None] = 64

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        rows, images = image_rows(batch["media"])
        decoded = np.zeros(batch.num_rows, np.int32)
        errors: list[str | None] = [None] * batch.num_rows
        columns = (pc.struct_field(images, name).to_pylist() for name in Reference._fields)
        # One image at a time: a codec takes one file, and decoding costs far more than the loop.
        for row, *fields in zip(rows.tolist(), *columns, strict=True):
            try:
                media.image(Reference(*fields))
                decoded[row] += 1
            except MediaError as error:
                errors[row] = errors[row] or str(error)
        return Outcome({"decoded": pa.array(decoded)}, None, pa.array(errors, pa.string()))
