"""The step `decontaminate`: drops records that contain items of evaluation benchmarks."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from filters.decontamination.benchmarks import Benchmark
from filters.decontamination.matching.embeddings import cosines
from filters.decontamination.matching.images import HASH_BITS, nearest_items, record_hashes
from filters.decontamination.matching.index import (
    Index,
    Placed,
    Settings,
    build_index,
    item_counts,
)
from filters.image.perceptual.phash import SIDE
from manifests import record, storage
from manifests.errors import MediaError
from manifests.examples.embedded import ItemEmbedder, checked_embedder
from manifests.examples.files import may_have_images
from manifests.examples.items import files_used
from manifests.media import Media
from manifests.step import (
    Columns,
    Context,
    Images,
    Measured,
    Resources,
    RowErrors,
    RowStep,
    Step,
    Worker,
    reasons,
)

MIN_WORDS = 8
"""The default of `min_words`: the shortest n-gram, in words, with which the training set of GPT-3
was filtered (our choice)."""


class Decontaminate(RowStep):
    """Drop records that contain items of evaluation benchmarks, and name the item found.

    A benchmark is `{name, path}`. If its files are tables (JSON lines, JSON arrays, Parquet, CSV or
    TSV), it also names fields of its items: `text` (a field or a list of fields), `id`, `image` (a
    field or a list of fields), `embedding`; `choices.text` is a field inside another field. If it
    names no fields, its files are `.txt` files with an item on each line, or images; the id of an
    image is its file name. A path is a file, a folder or a glob.

    A record is dropped if one of these conditions is true; the first true condition is the drop
    reason:

    - it has an n-gram of `n` words in common with the text of an item; or, if `overlap` is set, it
      has at least this share of the item's n-grams. Words are runs of letters, marks and numbers in
      lower case; in scripts written without spaces each character is a word. A text of an item with
      fewer than `min_words` words is not compared; another text of fewer than `n` words is a single
      n-gram.
    - one of its images looks like an image of an item: their 64-bit perceptual hashes differ in at
      most `distance` bits, mirrored or not. An image with almost no detail is never matched.
    - its embedding (in the column `embedding`) and the embedding of an item have a cosine of at
      least `threshold`. The texts or images of the items are embedded by the step that makes the
      column, with its model. Or, if a benchmark has `embedding`, this field has the embeddings;
      then an item without an embedding in this field is not compared by embedding.

    `benchmark` and `item` name the item that has the largest share of its n-grams in the record,
    and `overlap` is this share. If several items have equal shares, the item that is listed first
    is named. If the drop reason is an image or an embedding, `benchmark` and `item` name the item
    with this image or embedding, and `similarity` is 1 - bits / 64 for an image, or the cosine.
    `found_by` is `text`, `image` or `embedding`. A record that stays has these measures too, if it
    shares an n-gram with an item.

    The default is 13 words and one n-gram in common. The training set of GPT-3 was first filtered
    in this way (published: Brown et al. 2020, appendix C; later the authors removed only the
    passages, and ignored n-grams found in more than 10 documents). The authors used no n below 8
    because shorter n-grams match by chance. For this reason the default of `min_words` is 8 (our
    choice). PaLM counted an item as contaminated if 70 % of its 8-grams were found (published:
    Chowdhery et al. 2022, section 8): `n: 8, overlap: 0.7`. The defaults of `distance` and
    `threshold` are our choice.

    If items have images, a record with an image that cannot be decoded is quarantined, unless the
    record is dropped because of its text. Every worker reads the items once. It is an error if an
    item cannot be read, or if the image of an item is over the limits of `media`; no item is
    skipped.
    """

    version: ClassVar[int] = 7

    benchmarks: tuple[Benchmark, ...] = Field(
        min_length=1, description="the benchmarks whose items are searched for"
    )
    n: int = Field(13, ge=2, le=1000, description="words in an n-gram")
    min_words: int | None = Field(
        None,
        ge=2,
        description="texts of items with fewer words are not compared; other texts of fewer than "
        "n words are one n-gram; null: 8, or n if n is lower",
    )
    overlap: float | None = Field(
        None,
        gt=0,
        le=1,
        description="lowest share of an item's n-grams that a record must have to be dropped; "
        "null: one n-gram is enough",
    )
    distance: int = Field(
        6,
        ge=0,
        le=31,
        description="largest number of bits, of 64, in which hashes of similar images differ",
    )
    hashes: str | None = Field(
        None,
        description="name of an earlier step image_hash, whose hashes are used; null: this step "
        "computes the hashes",
    )
    embedding: str | None = Field(None, description="the column of the records' embeddings")
    threshold: float = Field(0.95, gt=0, le=1, description="lowest cosine of embeddings that match")

    @model_validator(mode="after")
    def _consistent(self) -> Decontaminate:
        twice = [name for name, n in Counter(one.name for one in self.benchmarks).items() if n > 1]
        if twice:
            raise ValueError(f"two benchmarks are named '{twice[0]}': give each its own name")
        embedded = any(one.embedding for one in self.benchmarks)
        if embedded and not self.embedding:
            raise ValueError(
                "a benchmark sets embedding, so the step must set embedding too: the column that "
                "has the records' embeddings"
            )
        return self

    @property
    def _embeds_items(self) -> bool:
        """Whether this step embeds the items: records are compared by embedding, and no benchmark
        has embeddings of its items."""
        return bool(self.embedding) and not any(one.embedding for one in self.benchmarks)

    def made_by(self) -> str | None:
        return self.embedding if self._embeds_items else None

    def with_maker(self, maker: Step) -> Self:
        return super().with_maker(checked_embedder(maker))

    def resources(self) -> Resources:
        return Resources() if self.maker is None else self.maker.resources()

    def reads(self) -> tuple[str, ...]:
        media = ("media", *self._known_hashes()) if self._has_images() else ()
        return ("content", *media, *((self.embedding,) if self.embedding else ()))

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "benchmark": pa.string(), "item": pa.string(), "overlap": pa.float32(),
            "similarity": pa.float32(), "found_by": pa.string(),
        }  # fmt: skip

    def images(self) -> Images | None:
        return Images(SIDE) if self._has_images() else None

    def _has_images(self) -> bool:
        return any(map(may_have_images, self.benchmarks))

    def _known_hashes(self) -> tuple[str, ...]:
        """Returns the columns with the hashes that an earlier step computed: `<step>.hash` and
        `<step>.mirror`, for the step that the setting `hashes` names; () if the setting is null."""
        return (f"{self.hashes}.hash", f"{self.hashes}.mirror") if self.hashes else ()

    def _placed(self, base: str) -> list[Placed]:
        return [(one, storage.resolve(base, one.path)) for one in self.benchmarks]

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the benchmarks' files, and the image files that their items name.

        Raises InputError for an invalid item, so a run with a mistake in its benchmarks never
        starts.
        """
        return tuple(uri for one, place in self._placed(base) for uri in files_used(one, place))

    def notes(self, base: str) -> tuple[str, ...]:
        """Returns a note for each benchmark: how many items it has, and how many are too short to
        compare."""
        return tuple(
            item_counts(one, place, self._least_words, self._embeds_items)
            for one, place in self._placed(base)
        )

    @property
    def _least_words(self) -> int:
        return self.min_words or min(MIN_WORDS, self.n)

    def load(self, worker: Worker) -> Index:
        """Reads the items of all benchmarks, and returns an index in which records are looked
        up."""
        settings = Settings(self.n, self._least_words, worker.limits)
        return build_index(self._placed(worker.base), settings, self._embedder(worker))

    def _embedder(self, worker: Worker) -> ItemEmbedder | None:
        if not self._embeds_items:
            return None
        assert self.embedding is not None
        assert isinstance(self.maker, RowStep)
        return ItemEmbedder(self.maker, self.embedding.partition(".")[2], worker)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        index: Index = context.model
        by_text = self._by_text(batch, index)
        by_image, failed = self._by_image(batch, context.media, index)
        by_embedding = self._by_embedding(batch, index)
        errors = RowErrors(batch.num_rows)
        for row, error in failed.items():
            if not by_text.drop[row]:
                errors.add(row, error)
        return Measured(_columns(index, by_text, by_image, by_embedding), errors)

    def decide(self, measured: pa.Table) -> pa.Array:
        found_by = measured["found_by"]
        by_text = pc.equal(found_by, "text")
        if self.overlap:
            lowest = pa.scalar(self.overlap, pa.float32())
            by_text = pc.and_(by_text, pc.greater_equal(measured["overlap"], lowest))
        return reasons(
            measured.num_rows,
            (by_text, "benchmark text"),
            (pc.equal(found_by, "image"), "benchmark image"),
            (pc.equal(found_by, "embedding"), "benchmark embedding"),
        )

    def _by_text(self, batch: pa.Table, index: Index) -> _Match:
        if index.grams is None:
            return _no_match(batch.num_rows)
        from manifests.kernels.overlap import overlaps

        item, share = overlaps(record.texts(batch["content"]), index.grams)
        drop = share >= np.float32(self.overlap) if self.overlap else item >= 0
        return _Match(item, share, drop)

    def _by_image(
        self, batch: pa.Table, media: Media, index: Index
    ) -> tuple[_Match, dict[int, MediaError]]:
        """Compares the images of the records with the images of benchmark items. Returns for each
        record the item with the nearest image, and a dict from row to error for the rows whose
        images cannot be decoded."""
        if not len(index.images.items):
            return _no_match(batch.num_rows), {}
        hashed = record_hashes(batch, media, self._known_hashes())
        item, bits = nearest_items(hashed.hash, hashed.mirror, index.images)
        similarity = (1 - bits / HASH_BITS).astype(np.float32)
        return _Match(item, similarity, bits <= self.distance), hashed.errors

    def _by_embedding(self, batch: pa.Table, index: Index) -> _Match:
        if self.embedding is None:
            return _no_match(batch.num_rows)
        item, cosine = cosines(batch[self.embedding], index.embeddings)
        return _Match(item, cosine, cosine >= np.float32(self.threshold))


_WAYS = pa.array(["text", "image", "embedding"])


class _Match(NamedTuple):
    """The result of comparing n records with the benchmarks by text, by image or by embedding:
    three arrays (n,).

    `item`: the number of the item found, -1 for none. `measure`: the share of the item's n-grams
    that are in the record, or the similarity of the images or embeddings. `drop`: whether the
    record is dropped.
    """

    item: np.ndarray
    measure: np.ndarray
    drop: np.ndarray


def _no_match(rows: int) -> _Match:
    return _Match(np.full(rows, -1, np.int32), np.zeros(rows, np.float32), np.zeros(rows, bool))


def _columns(index: Index, text: _Match, image: _Match, embedding: _Match) -> Columns:
    """Returns the columns that the step adds. `benchmark` and `item` name a benchmark item: for a
    dropped record, the item because of which it is dropped; for a record that stays, the item with
    the largest share of its n-grams in the record. `found_by` says by which comparison the item was
    found."""
    by_image = image.drop & ~text.drop
    by_embedding = embedding.drop & ~text.drop & ~image.drop
    by_text = (text.item >= 0) & ~by_image & ~by_embedding
    choices = [by_text, by_image, by_embedding]
    item = np.select(choices, [text.item, image.item, embedding.item], -1)
    similarity = np.where(by_image, image.measure, embedding.measure)
    at = pa.array(item, mask=item < 0)
    way = np.select(choices, [0, 1, 2], -1)
    return {
        "benchmark": index.benchmark.take(at),
        "item": index.item.take(at),
        "overlap": pa.array(text.measure, mask=~by_text),
        "similarity": pa.array(similarity, mask=~(by_image | by_embedding)),
        "found_by": _WAYS.take(pa.array(way, mask=way < 0)),
    }
