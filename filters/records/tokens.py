"""The step `tokens`: counts the tokens of records, and drops records by their number."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from manifests import storage
from manifests.errors import RowError
from manifests.geometry.shown_sizes import UNKNOWN_SIZE, shown_sizes
from manifests.geometry.smart_resize import (
    AROUND_IMAGE,
    MAX_ASPECT,
    VISION_PROFILES,
    Resize,
    VisionProfile,
    image_tokens,
)
from manifests.models.qwen_tokenizer import VOCABULARY, qwen_tokenizer
from manifests.models.tokenizer import Tokenizer
from manifests.models.tokenizer_file import tokenizer_from_file
from manifests.record import media_lists
from manifests.record.segments import Segments, shown_indices
from manifests.step import (
    Bound,
    Context,
    Location,
    Measured,
    ModelIdentity,
    RowErrors,
    RowStep,
    Worker,
)
from manifests.step.bounds import check_min_max, outside

PACKAGED = "qwen"
_VIDEO = RowError(
    "the tokens of a video are not counted yet",
    fix="Limit the step with `only`, or set `vision: null` to count only text.",
)


class Tokens(RowStep):
    """Count the text and visual tokens of a record, and drop records with too few or too many.

    `text` counts the texts of all roles, each on its own; a special token in a text, such as
    `<|im_end|>`, is counted as plain text. `visual` counts the images, each as often as the record
    shows it: the tokens of its size after Qwen's `smart_resize`, with Exif's orientation applied,
    and two for <|vision_start|> and <|vision_end|>. `total` is their sum. What a chat template adds
    for each turn is not counted.

    `tokenizer` is `qwen`, or the path of a tokenizer.json. `qwen` needs two commands, and downloads
    nothing later: `pip install 'curate[tokens]'` and `pip install --no-deps dashscope==2.0.2`, a
    package from which only the vocabulary is read.

    `vision` names the vision encoder and the limits of its image sizes: `qwen3_vl` and `qwen2_5_vl`
    as in qwen-vl-utils, `qwen3_vl_hf` as in Qwen3-VL's preprocessor_config.json. `min_pixels` and
    `max_pixels` replace its limits. With `vision: null` images and videos are not counted: `visual`
    is null, and `total` is `text`.

    A record is quarantined if it shows an image of unknown size, an image with an aspect over 200,
    which `smart_resize` refuses, or a video, whose tokens are not counted yet (with `vision: null`
    none of the three matters). It is also quarantined if a text is too long for the tokenizer: for
    `qwen`, if 434,000 characters or more have no end of a word; for a tokenizer.json, if the text
    has over 5,000,000 characters.
    """

    costs: ClassVar[bool] = True

    tokenizer: Annotated[str, Location()] = Field(
        PACKAGED, description=f"{PACKAGED}, or the path of a tokenizer.json"
    )
    vision: VisionProfile | None = Field(
        "qwen3_vl", description="the vision encoder and its limits; null: only text is counted"
    )
    min_pixels: PositiveInt | None = Field(
        None, description="smallest width x height of a resized image; null: as in `vision`"
    )
    max_pixels: PositiveInt | None = Field(
        None, description="largest width x height of a resized image; null: as in `vision`"
    )
    min: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="fewest tokens in total; null: no bound"
    )
    max: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="most tokens in total; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    @model_validator(mode="after")
    def _check_settings(self) -> Tokens:
        if self.tokenizer != PACKAGED and not self.tokenizer.endswith(".json"):
            raise ValueError(
                f"tokenizer '{self.tokenizer}' is neither {PACKAGED} nor the path of a "
                "tokenizer.json, which ends in .json"
            )
        how = self.resize()
        if how is None and (self.min_pixels or self.max_pixels):
            raise ValueError(
                "min_pixels and max_pixels have no effect with `vision: null`: remove them"
            )
        if how is not None and how.min_pixels > how.max_pixels:
            raise ValueError(
                f"min_pixels is {how.min_pixels}, but max_pixels is only {how.max_pixels}"
            )
        return self

    def resize(self) -> Resize | None:
        """Returns how images are resized: the profile with the step's own limits."""
        if self.vision is None:
            return None
        given = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        limits = {name: pixels for name, pixels in given.items() if pixels is not None}
        return VISION_PROFILES[self.vision].model_copy(update=limits)

    def reads(self) -> tuple[str, ...]:
        return ("content", "media")

    def measures(self) -> dict[str, pa.DataType]:
        return {"text": pa.int32(), "visual": pa.int32(), "total": pa.int32()}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        """Returns the identity of the packaged vocabulary. Returns () for a tokenizer.json, because
        the method `files` lists it. The vocabulary is loaded here, so that a missing package is an
        error before the run starts."""
        if self.tokenizer != PACKAGED:
            return ()
        qwen_tokenizer()
        return (ModelIdentity(PACKAGED, VOCABULARY.sha256),)

    def files(self, base: str) -> tuple[str, ...]:
        return () if self.tokenizer == PACKAGED else (storage.resolve(base, self.tokenizer),)

    def load(self, worker: Worker) -> Tokenizer:
        if self.tokenizer == PACKAGED:
            return qwen_tokenizer()
        [path] = self.files(worker.base)
        return tokenizer_from_file(storage.read_bytes(path), path)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        errors = RowErrors(batch.num_rows)
        how = self.resize()
        text = text_tokens(batch, context.model, errors)
        visual = np.zeros_like(text) if how is None else visual_tokens(batch, how, errors)
        columns = {
            "text": pa.array(text, pa.int32()),
            "visual": pa.array(visual, pa.int32(), mask=np.full(len(text), how is None)),
            "total": pa.array(text + visual, pa.int32()),
        }
        return Measured(columns, errors)

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(self, measured["total"], "too few tokens", "too many tokens")


def text_tokens(batch: pa.Table, tokenizer: Tokenizer, errors: RowErrors) -> np.ndarray:
    """Returns (records,) int64 numbers of the tokens in all texts of each record. A text that
    cannot be counted adds an error of its record to `errors`, and counts as 0."""
    segments = Segments.from_table(batch)
    is_text = segments.is_kind("text")
    counts = np.zeros(batch.num_rows, np.int64)
    texts = segments.field("text").filter(pa.array(is_text)).to_pylist()
    # Text by text: a tokenizer takes one text, and counting costs far more than the loop.
    for row, text in zip(segments.row[is_text].tolist(), texts, strict=True):
        try:
            counts[row] += tokenizer.count(text)
        except RowError as error:
            errors.add(row, error)
    return counts


def visual_tokens(batch: pa.Table, how: Resize, errors: RowErrors) -> np.ndarray:
    """Returns (records,) int64 numbers of the tokens of the images that the records show, with the
    two special tokens around each image. If a record shows a video, or an image that cannot be
    counted, an error of the record is added to `errors`."""
    rows, images = shown_indices(batch, "image")
    _, media = media_lists(batch["media"])
    sizes = shown_sizes(media.take(pa.array(images)))
    tokens = image_tokens(np.nan_to_num(sizes), how)
    for row, size in zip(rows[tokens == 0].tolist(), sizes[tokens == 0].tolist(), strict=True):
        errors.add(row, _uncounted(size))
    for row in shown_indices(batch, "video")[0].tolist():
        errors.add(row, _VIDEO)
    counts = np.zeros(batch.num_rows, np.int64)
    np.add.at(counts, rows, tokens + AROUND_IMAGE)
    return counts


def _uncounted(size: list[float]) -> RowError:
    """Returns the error of an image without tokens, from its width and height."""
    if np.isnan(size).any():
        return RowError(UNKNOWN_SIZE, fix="To count only the text instead, set `vision: null`.")
    fault = f"an image of {size[0]:.0f} x {size[1]:.0f} pixels is over the aspect of {MAX_ASPECT}"
    return RowError(fault, fix=f"Use `image_shape: {{max_aspect: {MAX_ASPECT}}}` before this step.")
