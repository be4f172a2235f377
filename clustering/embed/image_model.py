"""A model that computes embeddings of images: an ONNX file, with the preprocessing that it was
trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clustering.embed import efficientnet
from clustering.embed.embedder import Vectors
from manifests import storage
from manifests.errors import InputError, MediaError, is_of_environment
from manifests.media import Reference
from manifests.models.onnx import OnnxModel
from manifests.models.preprocessing import Preprocessing, from_config
from manifests.record.images import image_rows
from manifests.step import Context, RowErrors, Worker

if TYPE_CHECKING:
    from PIL.Image import Image


_EXPORT = "Export the model with one input: images of the shape (images, 3, height, width)."


class ImageModel:
    """Embeds RGB images: `model.embed([model.prepare(image)])` -> float32 (1, width)."""

    def __init__(self, model: OnnxModel, preprocessing: Preprocessing, output: str | None) -> None:
        if len(model.inputs) != 1:
            raise InputError(
                f"the model has the inputs {list(model.inputs)}, not one input",
                model.place,
                _EXPORT,
            )
        [shape] = model.inputs.values()
        if len(shape) != 4 or shape[1] not in (3, None):
            raise InputError(
                f"the model's input has the shape {shape}, not (images, 3, height, width)",
                model.place,
                _EXPORT,
            )
        self._model, self._preprocessing = model, preprocessing
        [self._input] = model.inputs
        self._output = _chosen(model, output)

    def prepare(self, image: Image) -> np.ndarray:
        """Returns the model's input for one image: float32 (3, height, width)."""
        return self._preprocessing.tensor(image)

    def embed(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the embedding of each prepared image: float32 (images, width). Raises InputError
        if the output has another number of rows."""
        found = self._model.run(self._output, **{self._input: np.stack(prepared)})
        if len(found) != len(prepared):
            raise InputError(
                f"the output {self._output!r} has the shape {found.shape} for {len(prepared)} "
                "images",
                self._model.place,
                "Name an output that has one row for each image.",
            )
        return found.reshape(len(prepared), -1).astype(np.float32)

    def close(self) -> None:
        self._model.close()


class ImageEmbedder:
    """Embeds the first image of each record of a batch."""

    def __init__(self, model: ImageModel, width: int) -> None:
        self._model, self.width = model, width

    def embed(self, batch: pa.Table, context: Context) -> Vectors:
        rows, images = image_rows(batch["media"])
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        columns = (pc.struct_field(images, name).to_pylist() for name in Reference._fields)
        references = [Reference(*fields) for fields in zip(*columns, strict=True)]
        errors = RowErrors(batch.num_rows)
        prepared: list[np.ndarray] = []
        embedded: list[int] = []
        # One image at a time: a codec takes one file, and decoding costs far more than the loop.
        for number in first.tolist():
            try:
                image = context.media.decoded(references[number]).upright()
                prepared.append(self._model.prepare(image))
                context.media.forget()  # full-size images of a whole batch would fill the memory
                embedded.append(int(rows[number]))
            except MediaError as error:
                errors.add(int(rows[number]), error)
        vectors = np.zeros((batch.num_rows, self.width), np.float32)
        present = np.zeros(batch.num_rows, bool)
        if prepared:
            vectors[embedded], present[embedded] = self._model.embed(prepared), True
        return Vectors(vectors, present, errors)

    def close(self) -> None:
        self._model.close()


def efficientnet_lite0(worker: Worker) -> ImageModel:
    """Loads EfficientNet-lite0 from its installed package."""
    place = efficientnet.WEIGHTS.package
    model = OnnxModel(efficientnet.build(), place, gpu=worker.gpu)
    return ImageModel(model, efficientnet.PREPROCESSING, "features")


def from_files(
    model: str, config: str, output: str | None, width: int, worker: Worker
) -> ImageModel:
    """Load an ONNX file, with its `preprocessor_config.json`.

    Raises InputError if the output does not have `width` numbers for each image.
    """
    from PIL import Image as pillow

    opened = OnnxModel(storage.read_bytes(model), model, gpu=worker.gpu)
    found = ImageModel(opened, from_config(storage.read_bytes(config), config), output)
    try:
        two = [found.prepare(pillow.new("RGB", (64, 64)))] * 2
        made = found.embed(two).shape[1]
    except Exception as error:  # onnxruntime has many classes of errors
        if isinstance(error, InputError) or is_of_environment(error):
            raise
        raise InputError(f"the model fails on an image: {error}", model, _EXPORT) from None
    if made != width:
        raise InputError(
            f"the model makes {made} numbers for an image, but width is {width}",
            model,
            f"Set width: {made}.",
        )
    return found


def _chosen(model: OnnxModel, output: str | None) -> str:
    names = list(model.outputs)
    if output is None and len(names) == 1:
        return names[0]
    if output not in names:
        fault = (
            f"the model has {len(names)} outputs, and the recipe names none"
            if output is None
            else f"the model has no output {output!r}"
        )
        raise InputError(fault, model.place, f"Set output to one of {names}.")
    return output
