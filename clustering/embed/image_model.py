"""A model that computes embeddings of images: an ONNX file, with the preprocessing that it was
trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from clustering.embed import efficientnet
from clustering.embed.embedder import Vectors
from clustering.embed.first_images import first_images
from clustering.embed.model_files import open_model
from manifests import storage
from manifests.errors import InputError, is_of_environment
from manifests.models.image_processor import from_config
from manifests.models.onnx import OnnxModel
from manifests.models.preprocessing import Preprocessing
from manifests.step import Context, RowErrors, Worker

if TYPE_CHECKING:
    from PIL.Image import Image


_EXPORT = "Export the model with one input: images of the shape (images, 3, height, width)."
_FLOATS = ("tensor(float)", "tensor(float16)")


class ImageModel:
    """Embeds RGB images: `model.embed([model.prepare(image)])` -> float32 (1, width).

    `pooling`: how the vectors of an image's tokens become one, `first` (the class token), `mean` or
    `last`; None: the output has one vector for an image.
    """

    def __init__(
        self,
        model: OnnxModel,
        preprocessing: Preprocessing,
        output: str | None,
        pooling: str | None = None,
    ) -> None:
        self._model, self._preprocessing, self._pooling = model, preprocessing, pooling
        self._input = _input(model, preprocessing)
        self._output = model.chosen_output(output)

    def prepare(self, image: Image) -> np.ndarray:
        """Returns the model's input for one image: float32 (3, height, width)."""
        return self._preprocessing.tensor(image)

    def embed(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the embedding of each prepared image: float32 (images, width). Raises InputError
        if the output has another shape: it must have one vector for each image, or with `pooling`
        one vector for each token of an image."""
        found = self._model.run_rows(self._output, self._input, np.stack(prepared))
        if self._pooling is None:
            if found[0].size != max(found.shape[1:], default=1):
                raise self._of_tokens(found)
            return found.reshape(len(prepared), -1).astype(np.float32)
        if found.ndim != 3:
            raise InputError(
                f"the output {self._output!r} has the shape {found.shape}, but pooling needs "
                "(images, tokens, width)",
                self._model.place,
                "Remove pooling, or name another output.",
            )
        tokens = found.astype(np.float32)
        at = {"first": 0, "last": -1}
        pooled: np.ndarray = (
            tokens.mean(axis=1) if self._pooling == "mean" else tokens[:, at[self._pooling]]
        )
        return pooled

    def close(self) -> None:
        self._model.close()

    def _of_tokens(self, found: np.ndarray) -> InputError:
        shapes = self._model.outputs
        single = [name for name, shape in shapes.items() if len(shape) == 2]
        fix = f"Set output to one of {single}, which have one vector for an image" if single else ""
        pooling = "pooling: first (the class token) or pooling: mean"
        fix = f"{fix}, or set {pooling}." if single else f"Set {pooling}."
        return InputError(
            f"the output {self._output!r} has the shape {found.shape} for {len(found)} images: "
            "several vectors for an image",
            self._model.place,
            fix,
        )


class ImageEmbedder:
    """Embeds the first image of each record of a batch."""

    def __init__(self, model: ImageModel, width: int) -> None:
        self._model, self.width = model, width

    def embed(self, batch: pa.Table, context: Context) -> Vectors:
        errors = RowErrors(batch.num_rows)
        prepared: list[np.ndarray] = []
        embedded: list[int] = []
        for row, image in first_images(batch["media"], context.media, errors):
            prepared.append(self._model.prepare(image))
            context.media.forget()  # full-size images of a whole batch would fill the memory
            embedded.append(row)
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
    model: str, config: str, output: str | None, pooling: str | None, width: int, worker: Worker
) -> ImageModel:
    """Loads the model in an ONNX file, with its `preprocessor_config.json`.

    Raises InputError if the output does not have `width` numbers for each image.
    """
    from PIL import Image as pillow

    preprocessing = from_config(storage.read_bytes(config), config)
    found = ImageModel(open_model(model, worker.gpu), preprocessing, output, pooling)
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


def _input(model: OnnxModel, preprocessing: Preprocessing) -> str:
    """Returns the name of the model's input. Raises InputError if the model has several inputs, or
    if the input does not take the images that the preprocessing makes."""
    if len(model.inputs) != 1:
        parts = " Of a model of images and texts, take the part for images (vision_model.onnx)."
        inputs = f"the model has the inputs {list(model.inputs)}, not one input"
        raise InputError(inputs, model.place, _EXPORT + parts)
    [(name, shape)] = model.inputs.items()
    fault = None
    if len(shape) != 4 or shape[1] not in (3, None):
        fault = f"the model's input has the shape {shape}, not (images, 3, height, width)"
    elif model.input_types[name] not in _FLOATS:
        fault = f"the model's input has the type {model.input_types[name]}, not float32 or float16"
    if fault is not None:
        raise InputError(fault, model.place, _EXPORT)
    _check_size(model, shape, preprocessing)
    return name


def _check_size(
    model: OnnxModel, shape: tuple[int | None, ...], preprocessing: Preprocessing
) -> None:
    size = preprocessing.size
    if size is None:
        raise InputError(
            "the preprocessor configuration does not give all images the same height and width",
            model.place,
            "Use a configuration in which size has a height and a width, or with do_center_crop.",
        )
    if any(a not in (None, b) for a, b in zip(shape[2:], size[::-1], strict=True)):
        raise InputError(
            f"the model's input has the shape {shape}, but its preprocessor configuration makes "
            f"images of {size[1]} x {size[0]} (height x width)",
            model.place,
            "Use the preprocessor_config.json that was published with the model.",
        )
