"""The step `image_decodes`: quarantines records with an image that cannot be decoded."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.errors import MediaError
from manifests.media import references
from manifests.record.images import image_rows
from manifests.step import Context, Images, Measured, RowErrors, RowStep


class ImageDecodes(RowStep):
    """Quarantine records with an image that cannot be decoded, that is missing, or that is over a
    limit of `media`. The message is the error of the first such image.

    Every image is decoded, at the smallest scale of its codec that leaves its shorter side at least
    64 pixels. Steps that run together decode each image only once, at a scale large enough for all.
    `decoded` is the number of a record's images that could be decoded.
    """

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"decoded": pa.int32()}

    def images(self) -> Images:
        return Images(64)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        rows, images = image_rows(batch["media"])
        decoded = np.zeros(batch.num_rows, np.int32)
        errors = RowErrors(batch.num_rows)
        # One image at a time: a codec takes one file, and decoding costs far more than the loop.
        for row, reference in zip(rows.tolist(), references(images), strict=True):
            try:
                context.media.image(reference)
                decoded[row] += 1
            except MediaError as error:
                errors.add(row, error)
        return Measured({"decoded": pa.array(decoded)}, errors)
