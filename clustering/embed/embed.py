"""The step `embed`: computes a vector for the first image or for the text of each record."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from clustering.embed import efficientnet
from clustering.embed.embedder import Embedder
from clustering.embed.half import halves, vector_type
from clustering.embed.image_model import ImageEmbedder, efficientnet_lite0, from_files
from clustering.embed.model_files import weight_files
from clustering.embed.text_model import packaged_identity, text_embedder
from manifests import storage
from manifests.errors import InputError
from manifests.step import (
    Context,
    Images,
    Location,
    Measured,
    ModelIdentity,
    Resources,
    RowStep,
    Worker,
)

PACKAGED = {"image": "efficientnet-lite0", "text": "wordllama"}
"""The default model of each kind of content, which comes in a package."""
FALLBACKS = {"image": "embed_patches", "text": "embed_ngrams"}
"""The steps that embed without a package, which the error names if the package is missing."""
WIDTHS = {"image": efficientnet.FEATURES, "text": 256}
BESIDE = {"image": "config", "text": "tokenizer"}
"""The setting that names the second file of a user's model."""
_FILE = {"config": "preprocessor_config.json", "tokenizer": "tokenizer.json"}


class Embed(RowStep):
    """Embed the first image or the text of each record: similar images or texts get similar
    vectors.

    `vector` is the output of the model in float16, without normalisation; null for a record without
    an image or text. A record whose image cannot be decoded, or for which the model gives NaN or a
    number over 65504 (the largest of float16), is quarantined. The text of a record is all its text
    segments, joined by newlines; of a long text the first `max_tokens` tokens are embedded.

    The default models come in packages and need no download (`pip install 'curate[models]'`). The
    model for images is EfficientNet-lite0, trained on ImageNet; its vectors have 1280 numbers. The
    model for texts is wordllama, the mean of static English token embeddings; its vectors have 256
    numbers. A model of your own is an ONNX file. `output` is the name of its output, and `width`
    the length of a vector. If the output has a vector for each token, `pooling` says how they
    become one. A model for images has one input, and `config` is its file
    `preprocessor_config.json`, as Hugging Face transformers writes it; for a model for texts,
    `tokenizer` is its file `tokenizer.json`. Files of weights beside the ONNX file (external data)
    are read too, and are part of the model's identity:

        - embed: {model: siglip2/vision.onnx, config: siglip2/preprocessor_config.json,
                  output: pooler_output, width: 768}
        - embed: {model: dinov2/model.onnx, config: dinov2/preprocessor_config.json,
                  output: last_hidden_state, pooling: first, width: 384}
        - embed: {on: text, model: minilm/model.onnx, tokenizer: minilm/tokenizer.json,
                  output: last_hidden_state, pooling: mean, width: 384}
    """

    version: ClassVar[int] = 3
    costs: ClassVar[bool] = True

    on: Literal["image", "text"] = Field("image", description="what is embedded")
    model: Annotated[str | None, Location()] = Field(
        None, description="an ONNX file; null: the model that comes in a package"
    )
    config: Annotated[str | None, Location()] = Field(
        None, description="preprocessor_config.json of an ONNX model of images"
    )
    tokenizer: Annotated[str | None, Location()] = Field(
        None, description="tokenizer.json of an ONNX model of texts"
    )
    output: str | None = Field(
        None, description="name of the model's output; null: its only output"
    )
    width: PositiveInt | None = Field(
        None, description="number of values in an embedding; null: that of the packaged model"
    )
    pooling: Literal["mean", "first", "last"] | None = Field(
        None,
        description="how the vectors of the tokens become one: their mean, the first (the class "
        "token) or the last; null: the output has one vector for an image or text",
    )
    decode_side: PositiveInt | None = Field(
        None,
        description="image: smallest length in pixels of the shorter side of a decoded image; "
        "null: full size, and 256 for the packaged model",
    )
    prefix: str = Field("", description="text: what the model expects before a text")
    max_tokens: PositiveInt = Field(
        512,
        description="text: number of tokens after which a text is cut, special tokens included",
    )
    pad_to: PositiveInt | None = Field(
        None,
        description="text: number of tokens to which every text is padded, for models that were "
        "trained so, such as SigLIP (64); null: the length that the model fixes, or no padding",
    )
    gpus: Annotated[NonNegativeFloat, Location()] = Field(
        0, description="number of GPUs of each worker"
    )

    @model_validator(mode="after")
    def _settings_together(self) -> Embed:
        beside = BESIDE[self.on]
        other = BESIDE["text" if self.on == "image" else "image"]
        if getattr(self, other) is not None:
            raise ValueError(f"{other} is not a setting of `on: {self.on}`: remove it")
        for name in ("prefix", "max_tokens", "pad_to"):
            if self.on == "image" and name in self.model_fields_set:
                raise ValueError(f"{name} is a setting of `on: text`: remove it")
        if self.on == "text" and self.decode_side is not None:
            raise ValueError("decode_side is a setting of `on: image`: remove it")
        if self.packaged and (self.pooling or self.pad_to):
            raise ValueError("pooling and pad_to are only for a model of your own: remove them")
        packaged, second = PACKAGED[self.on], getattr(self, beside)
        if not self.packaged and (second is None or self.width is None):
            raise ValueError(
                f"model '{self.model}' is read as an ONNX file, which needs {beside} and width: "
                f"set {beside} to its {_FILE[beside]} and width to the length of its vectors, or "
                f"remove model, to use the packaged model {packaged}"
            )
        if self.packaged and second is not None:
            raise ValueError(
                f"{beside} is only for a model of your own: set model to its ONNX file, or remove "
                f"{beside}"
            )
        if self.packaged and self.width not in (None, WIDTHS[self.on]):
            raise ValueError(
                f"width is {self.width}, but {packaged} makes vectors of {WIDTHS[self.on]} "
                "numbers: remove width"
            )
        return self

    @property
    def packaged(self) -> bool:
        """Whether the model is the one that comes in a package."""
        return self.model in (None, PACKAGED[self.on])

    @property
    def vector_width(self) -> int:
        return self.width or WIDTHS[self.on]

    def resources(self) -> Resources:
        return Resources(gpus=self.gpus)

    def batch_rows(self) -> int:
        return 64

    def images(self) -> Images | None:
        if self.on == "text":
            return None
        return Images(self.decode_side or (efficientnet.SIDE if self.packaged else None))

    def reads(self) -> tuple[str, ...]:
        return ("media",) if self.on == "image" else ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": vector_type(self.vector_width)}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        if not self.packaged:
            return ()
        return (efficientnet.IDENTITY if self.on == "image" else packaged_identity(),)

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the paths of the model, of its configuration, and of the files that have its
        weights. The digests of these files identify the model. `base` is the folder that relative
        paths start from. The packaged model has no paths."""
        if self.packaged:
            return ()
        model, beside = (storage.resolve(base, str(path)) for path in self._named())
        return (model, beside, *weight_files(model).values())

    def load(self, worker: Worker) -> Embedder:
        try:
            return self._loaded(worker)
        except InputError as error:
            if not (self.packaged and error.fix.startswith("Run: pip install")):
                raise
            other = f"or use the step {FALLBACKS[self.on]}, which needs no package."
            raise InputError(error.fault, error.place, f"{error.fix}; {other}") from None

    def _loaded(self, worker: Worker) -> Embedder:
        if self.on == "text":
            return text_embedder(self, worker)
        if self.packaged:
            return ImageEmbedder(efficientnet_lite0(worker), self.vector_width)
        model, config = (storage.resolve(worker.base, str(path)) for path in self._named())
        found = from_files(model, config, self.output, self.pooling, self.vector_width, worker)
        return ImageEmbedder(found, self.vector_width)

    def _named(self) -> tuple[str | None, str | None]:
        """The settings that name the files of a model that is not packaged."""
        return self.model, getattr(self, BESIDE[self.on])

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        model: Embedder = context.model
        return halves(model.embed(batch, context))
