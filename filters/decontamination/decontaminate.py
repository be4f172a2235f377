"""Drop what contains items of evaluation benchmarks."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from filters.decontamination.benchmarks.benchmark import Benchmark, may_have_images
from filters.decontamination.matching.embeddings import cosines
from filters.decontamination.matching.images import HASH_BITS, hashes_of, likeness
from filters.decontamination.matching.index import Index, files_used, index_of, settings_now, told
from filters.image.image_hash import ImageHash
from manifests import record, storage
from manifests.errors import StepError
from manifests.media import Media
from manifests.step import Outcome, RowStep, reasons


class Decontaminate(RowStep):
    """Drop records that contain items of evaluation benchmarks, and say which item was met.

    A benchmark is `{name, path}` and, where the path is of tables, fields of its items: `text`
    (one or a list), `id`, `image` (one or a list), `embedding`. A path is a file, a folder or a
    glob, of JSON lines, JSON arrays, Parquet, CSV or TSV; or, without fields, of `.txt` with an
    item a line, or of images, whose id is the file's name. `choices.text` is a field in a field.

    A record goes when one of these holds, and the first that does is its reason:

    - it shares an n-gram of `n` words with the text of an item, or with `overlap`: at least that
      share of the item's n-grams. Words are runs of letters, marks and numbers in lower case;
      each character of a script written without spaces is one. A text of fewer than `n` words is
      compared whole, if it has at least `min_words`; one shorter still is not compared.
    - one of its images looks like one of an item: 64-bit perceptual hashes that differ in at
      most `distance` bits, mirrored too. Images without detail look like none.
    - its column `embedding` and the item's have a cosine of at least `threshold`.

    `benchmark` and `item` name the item of which the record has most (in a draw the one listed
    first), `overlap` says what share of the item's n-grams it has; where an image or an
    embedding decided, `similarity` is 1 - bits / 64, or the cosine. A record that stays tells the
    item it shares most n-grams with too, if there is one.

    13 words, of which one n-gram in common is enough, is how GPT-3's training set was filtered at
    first (published: Brown et al. 2020, appendix C; later they cut out the passages alone, and let
    n-grams of more than 10 documents be). They took no n below 8 words, since shorter ones met by
    chance: hence `min_words` (ours). PaLM called an item contaminated of whose 8-grams 70 % were
    met (published: Chowdhery et al. 2022, section 8): `n: 8, overlap: 0.7`. `distance` and
    `threshold` are ours.

    Items are read once a worker. What cannot be read is an error, and nothing is passed over.
    """

    version: ClassVar[int] = 2
    measures: ClassVar[dict[str, pa.DataType]] = {
        "benchmark": pa.string(),
        "item": pa.string(),
        "overlap": pa.float32(),
        "similarity": pa.float32(),
    }

    benchmarks: tuple[Benchmark, ...] = Field(min_length=1, description="what to look for")
    n: int = Field(13, ge=2, le=1000, description="words in an n-gram")
    min_words: int = Field(
        8, ge=2, description="words a shorter text must have to be compared whole"
    )
    overlap: float | None = Field(
        None, gt=0, le=1, description="least share of an item's n-grams; null: any one of them"
    )
    distance: int = Field(6, ge=0, le=31, description="bits in which similar images may differ")
    embedding: str | None = Field(None, description="column of the records' embeddings")
    threshold: float = Field(0.95, gt=0, le=1, description="least cosine of embeddings")

    @model_validator(mode="after")
    def _consistent(self) -> Decontaminate:
        twice = [name for name, n in Counter(one.name for one in self.benchmarks).items() if n > 1]
        if twice:
            raise ValueError(f"two benchmarks are named '{twice[0]}'")
        embedded = any(one.embedding for one in self.benchmarks)
        if embedded and not self.embedding:
            raise ValueError("a benchmark names an embedding: name the records' column too")
        if self.embedding and not embedded:
            raise ValueError("embedding is named, and no benchmark names the field of its own")
        return self

    @property
    def image_side(self) -> int | None:  # type: ignore[override]
        """Images are asked for where a benchmark may have some."""
        return ImageHash.image_side if any(map(may_have_images, self.benchmarks)) else None

    def files(self, base: str) -> tuple[str, ...]:
        """The benchmarks' files and the images they name. Raises InputError where items are
        not what they should be, so that a run with a mistake in them never starts."""
        places = ((one, storage.resolve(base, one.path)) for one in self.benchmarks)
        return tuple(uri for one, place in places for uri in files_used(one, place))

    def notes(self, base: str) -> tuple[str, ...]:
        """For each benchmark how many items it has, and how many are not compared."""
        least = min(self.min_words, self.n)
        return tuple(told(one, storage.resolve(base, one.path), least) for one in self.benchmarks)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        least = min(self.min_words, self.n)
        index = index_of(settings_now(self.benchmarks, self.n, least, media))
        by_text = self._by_text(batch, index)
        by_image, error = self._by_image(batch, media, index)
        by_embedding = self._by_embedding(batch, index)
        rules = [(by_text.goes, "benchmark text"), (by_image.goes, "benchmark image"),
                 (by_embedding.goes, "benchmark embedding")]  # fmt: skip
        if error is not None:
            error = pc.if_else(pa.array(by_text.goes), None, error)
        named = _named(index, by_text, by_image, by_embedding)
        return Outcome(named, reasons(batch.num_rows, *rules), error)

    def _by_text(self, batch: pa.Table, index: Index) -> _Met:
        if index.grams is None:
            return _nothing(batch.num_rows)
        from manifests.kernels.overlap import overlaps

        item, share = overlaps(record.texts(batch["content"]), index.grams)
        goes = share >= np.float32(self.overlap) if self.overlap else item >= 0
        return _Met(item, share, goes)

    def _by_image(
        self, batch: pa.Table, media: Media, index: Index
    ) -> tuple[_Met, pa.Array | None]:
        if not len(index.looks.items):
            return _nothing(batch.num_rows), None
        hashes, mirrors, error = hashes_of(batch, media)
        item, bits = likeness(hashes, mirrors, index.looks)
        similarity = (1 - bits / HASH_BITS).astype(np.float32)
        return _Met(item, similarity, bits <= self.distance), error

    def _by_embedding(self, batch: pa.Table, index: Index) -> _Met:
        if self.embedding is None:
            return _nothing(batch.num_rows)
        if self.embedding not in batch.column_names:
            told = ", ".join(name for name in batch.column_names if "." in name) or "none"
            raise StepError(
                f"there is no column '{self.embedding}' here.", "steps.decontaminate.embedding",
                f"Steps before made: {told}.",
            )  # fmt: skip
        item, cosine = cosines(batch[self.embedding], index.directions)
        return _Met(item, cosine, cosine >= np.float32(self.threshold))


class _Met(NamedTuple):
    """Of each record the item met, -1 for none; how much of it or how like; whether it goes."""

    item: np.ndarray
    measure: np.ndarray
    goes: np.ndarray


def _nothing(rows: int) -> _Met:
    return _Met(np.full(rows, -1, np.int32), np.zeros(rows, np.float32), np.zeros(rows, bool))


def _named(index: Index, text: _Met, image: _Met, embedding: _Met) -> dict[str, pa.Array]:
    """The item that decided, or the nearest by its text; and what it was met by."""
    by_image = image.goes & ~text.goes
    by_embedding = embedding.goes & ~text.goes & ~image.goes
    by_text = (text.item >= 0) & ~by_image & ~by_embedding
    choices = [by_text, by_image, by_embedding]
    item = np.select(choices, [text.item, image.item, embedding.item], -1)
    like = np.where(by_image, image.measure, embedding.measure)
    at = pa.array(item, mask=item < 0)
    return {
        "benchmark": index.benchmark.take(at),
        "item": index.item.take(at),
        "overlap": pa.array(text.measure, mask=~by_text),
        "similarity": pa.array(like, mask=~(by_image | by_embedding)),
    }
