"""An index of the items of all benchmarks, in which records are looked up. Every worker builds the
index once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.decontamination.benchmarks import Benchmark
from filters.decontamination.matching.embeddings import item_embeddings
from filters.decontamination.matching.images import ItemHashes, item_hashes
from manifests.errors import InputError
from manifests.examples.embedded import EmbeddedItems, ItemEmbedder
from manifests.examples.images import ItemImage
from manifests.examples.items import Item, items_of
from manifests.media import Limits

if TYPE_CHECKING:
    from manifests.kernels.overlap import Grams

_IMAGES_AT_ONCE = 64
"""The number of images of a benchmark that are held in memory at once (our choice)."""


Placed = tuple[Benchmark, str]
"""A benchmark and its full path."""


class Settings(NamedTuple):
    """The settings for reading and comparing items.

    A text of fewer than `n` words, but at least `min_words`, is a single n-gram. `limits` are the
    limits for reading the items' images.
    """

    n: int
    min_words: int
    limits: Limits


class Index(NamedTuple):
    """The items of all benchmarks, numbered in the order of the recipe. `benchmark` and `item`
    have, for each item, the name of its benchmark and the id of the item. `grams`, `images` and
    `embeddings` have the n-grams, image hashes and embeddings of all items; `grams` is None if no
    item has a text."""

    benchmark: pa.Array
    item: pa.Array
    grams: Grams | None
    images: ItemHashes
    embeddings: EmbeddedItems


def build_index(
    placed: list[Placed], settings: Settings, embedder: ItemEmbedder | None = None
) -> Index:
    """Reads all items of the benchmarks. `placed` has the benchmarks and their full paths.
    `embedder` embeds the items; None if the benchmarks have embeddings of their items, or if no
    embeddings are compared.

    Raises InputError for the first item that cannot be read, for a benchmark that has no item long
    enough or detailed enough to be compared, and for a benchmark whose field of embeddings is
    always null.
    """
    builder = _IndexBuilder(placed, settings, embedder)
    for number, (benchmark, place) in enumerate(placed):
        for item in items_of(benchmark, place):
            builder.add(number, item)
    return builder.index()


def item_counts(benchmark: Benchmark, place: str, min_words: int, embedded: bool) -> str:
    """Returns a note for the user with the number of items and the number of items whose texts are
    too short to compare: "gsm: 4 items; 1 is not compared: ...". `place` is the full path of the
    benchmark; `embedded` is whether the items are embedded."""
    from manifests.kernels.overlap import word_counts

    texts: list[str] = []
    owners: list[int] = []
    items = 0
    compared: set[int] = set()
    for number, item in enumerate(items_of(benchmark, place)):
        items += 1
        texts += item.texts
        owners += [number] * len(item.texts)
        if item.images or item.embedding or embedded:
            compared.add(number)
    long = word_counts(pa.array(texts, pa.string())) >= min_words
    short = items - len(compared.union(np.array(owners, np.int64)[long].tolist()))
    note = f"benchmark {benchmark.name}: {items:,} item{'s' if items > 1 else ''}"
    if short:
        are = "is" if short == 1 else "are"
        note += f"; {short:,} {are} not compared: no text has {min_words} words (min_words)"
    return note


class _IndexBuilder:
    """Builds an index from items that are added one by one. Images are hashed in batches, and then
    removed from memory."""

    def __init__(
        self, placed: list[Placed], settings: Settings, embedder: ItemEmbedder | None
    ) -> None:
        self.placed, self.settings, self.embedder = placed, settings, embedder
        self.numbers: list[int] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.owners: list[int] = []
        self.images: list[ItemImage] = []
        self.with_images: set[int] = set()
        self.hashes = [ItemHashes(np.empty(0, np.uint64), np.empty(0, np.int32))]
        self.embeddings: list[list[float]] = []
        self.embedded: list[int] = []
        self.places: list[str] = []

    def add(self, benchmark: int, item: Item) -> None:
        own = len(self.ids)
        self.numbers.append(benchmark)
        self.ids.append(item.id)
        self.texts += item.texts
        self.owners += [own] * len(item.texts)
        self.images += [ItemImage(own, source, item.place) for source in item.images]
        if item.images:
            self.with_images.add(benchmark)
        if self.embedder is not None:
            self.embedder.add(own, item)
        if item.embedding is not None:
            self.embeddings.append(item.embedding)
            self.embedded.append(own)
            self.places.append(item.place)
        if len(self.images) >= _IMAGES_AT_ONCE:
            self._hash()

    def _hash(self) -> None:
        if self.images:
            self.hashes.append(item_hashes(self.images, self.settings.limits))
        self.images = []

    def index(self) -> Index:
        self._hash()
        grams = self._grams()
        images = ItemHashes(*map(np.concatenate, zip(*self.hashes, strict=True)))
        embeddings = (
            item_embeddings(self.embeddings, self.embedded, self.places)
            if self.embedder is None
            else self.embedder.finish()
        )
        names = pa.array([one.name for one, _ in self.placed], pa.string())
        benchmark = names.take(pa.array(self.numbers, pa.int32()))
        index = Index(benchmark, pa.array(self.ids, pa.string()), grams, images, embeddings)
        self._check(index)
        return index

    def _grams(self) -> Grams | None:
        if not self.texts:
            return None
        from manifests.kernels.overlap import grams_of, word_counts

        texts, owners = pa.array(self.texts, pa.string()), np.array(self.owners)
        n, least = self.settings.n, self.settings.min_words
        if least > n:  # texts between the two would be n-grams, too
            texts = pc.if_else(pa.array(word_counts(texts) >= least), texts, "")
        return grams_of(texts, owners, len(self.ids), n, min(least, n))

    def _check(self, index: Index) -> None:
        """Raises InputError for a benchmark if none of its items can be compared with records."""
        comparable = np.zeros(len(self.ids), bool)
        if index.grams is not None:
            comparable = index.grams.totals > 0
        comparable[index.images.items] = True
        comparable[index.embeddings.items] = True
        counts = np.bincount(np.array(self.numbers)[comparable], minlength=len(self.placed))
        embedded = {self.numbers[own] for own in self.embedded}
        texts = np.bincount(np.array(self.numbers)[self.owners], minlength=len(self.placed))
        for number, (benchmark, place) in enumerate(self.placed):
            if benchmark.embedding and number not in embedded:
                raise InputError(
                    f"benchmark '{benchmark.name}': no item has an embedding in the field "
                    f"'{benchmark.embedding}'",
                    place,
                    "Correct the name of the field, or remove the setting embedding.",
                )
            if counts[number]:
                continue
            faults, fix = [], "Remove the benchmark."
            if texts[number]:
                faults.append(f"all texts have fewer than {self.settings.min_words} words")
                fix = "Lower min_words, name fields with longer texts, or remove the benchmark."
            if number in self.with_images:
                faults.append("all images have almost no detail")
            fault = (
                f"benchmark '{benchmark.name}': no item can be compared: {', and '.join(faults)}"
            )
            raise InputError(fault, place, fix)
