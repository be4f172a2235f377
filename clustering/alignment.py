"""The step `alignment`: how well the image of a record and its text agree."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from manifests.errors import StepError
from manifests.step import Bound, Context, Measured, RowStep, reasons
from manifests.vectors.units import cosines, dimensions_of, present_units


class Alignment(RowStep):
    """Drop records whose image and text do not agree.

    `cosine` is the cosine of the vector in the column `image` and the one in the column `text`.
    Both must come from the two parts of one model that was trained on pairs of images and texts,
    such as CLIP or SigLIP: the cosine of vectors of other models means nothing. If a record lacks
    one of the vectors, its `cosine` is null, and the record is kept. A threshold is right for one
    model only; the presets `laion_400m`, `laion_5b_english` and `laion_5b_other` have the published
    thresholds for CLIP ViT-B/32.

        - embed: {model: clip/vision_model.onnx, config: clip/preprocessor_config.json,
                  output: image_embeds, width: 512}
        - embed: {on: text, model: clip/text_model.onnx, tokenizer: clip/tokenizer.json,
                  output: text_embeds, width: 512, max_tokens: 77}
        - alignment: {image: embed.vector, text: embed-2.vector, min: 0.3}
    """

    version: ClassVar[int] = 1

    image: str = Field("embed.vector", description="the column with the vectors of images")
    text: str = Field("embed-2.vector", description="the column with the vectors of texts")
    min: Annotated[float | None, Field(ge=-1, le=1), Bound()] = Field(
        None, description="lowest cosine that is kept; null: all are kept"
    )

    @model_validator(mode="after")
    def _are_two(self) -> Alignment:
        if self.image == self.text:
            raise ValueError(f"image and text are both '{self.image}': name two columns")
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.image, self.text)

    def measures(self) -> dict[str, pa.DataType]:
        return {"cosine": pa.float32()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        found = np.full(batch.num_rows, np.nan, np.float32)
        widths = [dimensions_of(batch[name], name) for name in (self.image, self.text)]
        if None not in widths:
            self._check(widths)
            of_image = present_units(batch[self.image], widths[0] or 0)
            of_text = present_units(batch[self.text], widths[1] or 0)
            rows, one, other = np.intersect1d(of_image.rows, of_text.rows, return_indices=True)
            found[rows] = cosines(of_image.units, one, of_text.units, other)
        return Measured({"cosine": pa.array(found, mask=np.isnan(found))})

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.min is None:
            return None
        low = pc.less(measured["cosine"], pa.scalar(self.min, pa.float32()))
        return reasons(measured.num_rows, (low, "image and text do not agree"))

    def _check(self, widths: list[int | None]) -> None:
        if widths[0] != widths[1]:
            raise StepError(
                f"the vectors of images have {widths[0]} numbers, those of texts {widths[1]}: they "
                "are not of one model",
                f"columns '{self.image}' and '{self.text}'",
                "Embed images and texts with the two parts of one model, such as CLIP.",
            )
