"""The step `embed_patches`: vectors of images without a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from clustering.embed import patches
from clustering.embed.embedder import Vectors
from clustering.embed.half import halves, vector_type
from clustering.embed.patches import Patches
from clustering.embed.thumbnail import SIDE, Thumbnail
from manifests import record
from manifests.record import one_chunk
from manifests.step import (
    Context,
    Corpus,
    CorpusStep,
    Outcome,
    Part,
    RowErrors,
    RowStep,
    Workspace,
)

_PIXELS = "thumbnail.pixels"


class EmbedPatches(CorpusStep):
    """Embed the first image of each record by its patches and colours, without a trained model.

    It needs no extra packages. `vector` has 128 numbers (float16): 64 for patches, with the length
    1, and 64 for colours, with the length 0.5; null for a record without an image. The first image
    is reduced to 32 x 32 pixels, and its patches are compared with centroids of patches. The
    features are fitted on `sample` images of the corpus, drawn by the recipe's seed. So vectors of
    two runs can be compared only if the runs have the same corpus and seed.

    The vectors show textures, edges, layout and colours, and no objects: near images look alike,
    whatever they show. They find charts among photographs, and clusters of one kind of image; for
    concepts, use `embed` (figures: docs/performance.md).

    Sources: Coates, Lee and Ng, An Analysis of Single-Layer Networks in Unsupervised Feature
    Learning (AISTATS 2011), for patches, their whitening, the dictionary by k-means and the four
    quarters; Coates and Ng, The Importance of Encoding Versus Training with Sparse Coding and
    Vector Quantization (ICML 2011), for the threshold.
    """

    uses_seed: ClassVar[bool] = True

    sample: PositiveInt = Field(
        2000, le=100_000, description="images that the features are fitted on"
    )

    def required_steps(self) -> dict[str, RowStep]:
        return {"thumbnail": Thumbnail()}

    def reads(self) -> tuple[str, ...]:
        return ("id", _PIXELS)

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": vector_type(patches.WIDTH)}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Patches | None:
        """Returns the features, fitted on a sample; None if no record has an image."""
        keys = np.zeros(0, np.uint64)
        for _, found in workspace.map(_Keys(corpus, seed, self.sample), corpus.parts):
            keys = np.sort(np.concatenate([keys, found]))[: self.sample]
        if not len(keys):
            return None
        drawn = [d for _, d in workspace.map(_Draw(corpus, seed, keys[-1]), corpus.parts)]
        order = np.argsort(np.concatenate([one.keys for one in drawn]), kind="stable")
        images = np.concatenate([one.images for one in drawn])[order]
        return patches.fit(images[: self.sample], seed)

    def apply(self, rows: pa.Table, fit: Patches | None, context: Context) -> Outcome:
        present, images = _images(rows)
        vectors = np.zeros((rows.num_rows, patches.WIDTH), np.float32)
        if fit is not None:
            # One image at a time: the 729 patches of an image are products enough.
            for row, image in zip(np.flatnonzero(present).tolist(), images, strict=True):
                vectors[row] = fit.vector(image)
        made = halves(Vectors(vectors, present, RowErrors(rows.num_rows)))
        return Outcome(made.columns, errors=made.errors)


class _Drawn(NamedTuple):
    """Images of the sample. `keys`: (n,) uint64. `images`: uint8 (n, 32, 32, 3)."""

    keys: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class _Keys:
    """A task: returns the `count` lowest of the random keys of those records of a part that have an
    image, sorted."""

    corpus: Corpus
    seed: int
    count: int

    def __call__(self, part: Part) -> np.ndarray:
        rows = self.corpus.read(part)
        present = np.asarray(one_chunk(rows[_PIXELS]).is_valid())
        keys = np.sort(record.random_keys(rows["id"], self.seed)[present])
        return keys[: self.count]


@dataclass(frozen=True)
class _Draw:
    """A task: returns the images of those records of a part whose random keys are at most
    `highest`."""

    corpus: Corpus
    seed: int
    highest: np.uint64

    def __call__(self, part: Part) -> _Drawn:
        rows = self.corpus.read(part)
        keys = record.random_keys(rows["id"], self.seed)
        drawn = rows.filter(pa.array(keys <= self.highest))
        present, images = _images(drawn)
        return _Drawn(keys[keys <= self.highest][present], images.copy())


def _images(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns which rows have an image, bool (rows,), and these images, uint8 (n, 32, 32, 3)."""
    column = one_chunk(rows[_PIXELS])
    found = column.drop_null()
    data = np.frombuffer(b"".join(found.to_pylist()), np.uint8)
    return np.asarray(column.is_valid()), data.reshape(-1, SIDE, SIDE, 3)
