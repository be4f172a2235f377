"""A step of tests: embeds an image by its colours, without a model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.media import Reference
from manifests.step import Columns, Context, Images, RowStep


class Colours(RowStep):
    """Embed the first image of each record by the difference of its mean colour from grey."""

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": pa.list_(pa.float32(), 3)}

    def images(self) -> Images:
        return Images()

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        found: list[list[float] | None] = []
        for media in batch["media"].to_pylist():
            if not media:
                found.append(None)
                continue
            reference = Reference(media[0]["uri"], media[0]["offset"], media[0]["length"])
            pixels = np.asarray(context.media.image(reference).convert("RGB"), float)
            found.append((pixels.mean(axis=(0, 1)) - 128).tolist())
        return {"vector": pa.array(found, pa.list_(pa.float32(), 3))}
