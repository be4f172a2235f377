"""The step `thumbnail`: a small square of the first image of each record."""

from __future__ import annotations

import pyarrow as pa

from clustering.embed.first_images import first_images
from manifests.step import Context, Images, Measured, RowErrors, RowStep

SIDE = 32
"""The side of a thumbnail in pixels (published: the images of Coates and Ng 2011)."""
BYTES = SIDE * SIDE * 3


class Thumbnail(RowStep):
    """Reduce the first image of each record to a square of 32 x 32 pixels.

    `pixels` has the 3072 bytes of the square (RGB, row by row), upright as the image is shown; null
    for a record without an image. `embed_patches` computes embeddings from it. Images are decoded
    at the smallest scale of their codec that leaves their shorter side at least 32 pixels; steps
    that run together decode each image only once, at a scale that is large enough for all these
    steps. A record whose first image cannot be decoded is quarantined.
    """

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"pixels": pa.binary(BYTES)}

    def images(self) -> Images:
        return Images(SIDE)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        from PIL.Image import Resampling

        pixels: list[bytes | None] = [None] * batch.num_rows
        errors = RowErrors(batch.num_rows)
        for row, image in first_images(batch["media"], context.media, errors):
            small = image.resize((SIDE, SIDE), Resampling.BILINEAR, reducing_gap=2.0)
            pixels[row] = small.tobytes()
        return Measured({"pixels": pa.array(pixels, pa.binary(BYTES))}, errors)
