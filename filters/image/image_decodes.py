"""Whether every image can be opened."""

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
    """Quarantine records with an image that cannot be decoded, with what its decoder said.

    Every image is decoded, at the smallest scale its codec offers; steps that look at images
    in the same pass share the work. `decoded` is how many of a record's images could be.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"decoded": pa.int32()}
    image_side: ClassVar[int | None] = 64

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        rows, images = image_rows(batch["media"])
        decoded = np.zeros(batch.num_rows, np.int32)
        errors: list[str | None] = [None] * batch.num_rows
        columns = (pc.struct_field(images, name).to_pylist() for name in Reference._fields)
        # One image at a time: a codec takes one file, and its cost dwarfs the loop's.
        for row, *fields in zip(rows.tolist(), *columns, strict=True):
            try:
                media.image(Reference(*fields))
                decoded[row] += 1
            except MediaError as error:
                errors[row] = errors[row] or str(error)
        return Outcome({"decoded": pa.array(decoded)}, None, pa.array(errors, pa.string()))
