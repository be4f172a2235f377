"""The items of all benchmarks, made ready to be looked up: once a worker process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from filters.decontamination.benchmarks.benchmark import Benchmark, files_of
from filters.decontamination.benchmarks.items import Item, items_of
from filters.decontamination.matching.embeddings import Directions, directions_of
from filters.decontamination.matching.images import Given, Looks, looks_of
from manifests import storage
from manifests.errors import InputError
from manifests.media import Limits, Media
from manifests.storage import File

if TYPE_CHECKING:
    from manifests.kernels.overlap import Grams

_IMAGES_AT_ONCE = 64
"""Images of a benchmark held in memory at once (ours)."""


class Settings(NamedTuple):
    """What an index is made of. `places` are the full paths of the benchmarks, `files` those there
    were. A text of fewer than n words is compared whole, if it has `least`."""

    benchmarks: tuple[Benchmark, ...]
    places: tuple[str, ...]
    files: tuple[tuple[File, ...], ...]
    n: int
    least: int
    limits: Limits


class Index(NamedTuple):
    """Items are numbered as they are listed: `benchmark` and `item` (string) name each."""

    benchmark: pa.Array
    item: pa.Array
    grams: Grams | None
    looks: Looks
    directions: Directions


@lru_cache(maxsize=1)
def settings_now(benchmarks: tuple[Benchmark, ...], n: int, least: int, media: Media) -> Settings:
    """With the files there are now: they are listed once for each part, which has a Media of its
    own, so that a process that lives on knows when a benchmark changes."""
    places = tuple(media.resolve(one.path) for one in benchmarks)
    files = (tuple(storage.list_files(place)) for place in places)
    return Settings(benchmarks, places, tuple(files), n, least, media.limits)


@lru_cache(maxsize=4)
def index_of(settings: Settings) -> Index:
    """Raises InputError for the first item that cannot be read or compared."""
    gathered = _Gathered(settings)
    for number, (benchmark, place) in enumerate(_placed(settings)):
        for item in items_of(benchmark, place):
            gathered.add(number, item)
    return gathered.index()


def files_used(benchmark: Benchmark, place: str) -> Iterator[str]:
    """The files of a benchmark, and those of the images that its tables name. Raises InputError
    for the first item that cannot be read."""
    yield from (file.uri for file, _ in files_of(benchmark, place))
    for item in items_of(benchmark, place):
        if benchmark.image:
            yield from (source for source in item.images if isinstance(source, str))


def told(benchmark: Benchmark, place: str, least: int) -> str:
    """How many items a benchmark has, and how many of them are too short to be compared."""
    from manifests.kernels.overlap import word_counts

    texts: list[str] = []
    owners: list[int] = []
    items = 0
    compared: set[int] = set()
    for number, item in enumerate(items_of(benchmark, place)):
        items += 1
        texts += item.texts
        owners += [number] * len(item.texts)
        if item.images or item.embedding:
            compared.add(number)
    long = word_counts(pa.array(texts, pa.string())) >= least
    short = items - len(compared.union(np.array(owners, np.int64)[long].tolist()))
    said = f"{benchmark.name}: {items:,} item{'s' if items > 1 else ''}"
    if short:
        are = "is" if short == 1 else "are"
        said += f"; {short:,} {are} not compared: no text of {least} words or more (min_words)"
    return said


def _placed(settings: Settings) -> Iterable[tuple[Benchmark, str]]:
    return zip(settings.benchmarks, settings.places, strict=True)


class _Gathered:
    """Items as they come: their images are hashed and let go of."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.numbers: list[int] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.owners: list[int] = []
        self.images: list[Given] = []
        self.looks = [Looks(np.empty(0, np.uint64), np.empty(0, np.int32))]
        self.embeddings: list[list[float]] = []
        self.embedded: list[int] = []
        self.places: list[str] = []

    def add(self, benchmark: int, item: Item) -> None:
        own = len(self.ids)
        self.numbers.append(benchmark)
        self.ids.append(item.id)
        self.texts += item.texts
        self.owners += [own] * len(item.texts)
        self.images += [Given(own, source, item.place) for source in item.images]
        if item.embedding is not None:
            self.embeddings.append(item.embedding)
            self.embedded.append(own)
            self.places.append(item.place)
        if len(self.images) >= _IMAGES_AT_ONCE:
            self._hash()

    def _hash(self) -> None:
        if self.images:
            self.looks.append(looks_of(self.images, self.settings.limits))
        self.images = []

    def index(self) -> Index:
        self._hash()
        grams = self._grams()
        looks = Looks(*map(np.concatenate, zip(*self.looks, strict=True)))
        directions = directions_of(self.embeddings, self.embedded, self.places)
        names = pa.array([one.name for one in self.settings.benchmarks], pa.string())
        benchmark = names.take(pa.array(self.numbers, pa.int32()))
        index = Index(benchmark, pa.array(self.ids, pa.string()), grams, looks, directions)
        self._check(index)
        return index

    def _grams(self) -> Grams | None:
        if not self.texts:
            return None
        from manifests.kernels.overlap import grams_of

        texts, owners = pa.array(self.texts, pa.string()), np.array(self.owners)
        return grams_of(texts, owners, len(self.ids), self.settings.n, self.settings.least)

    def _check(self, index: Index) -> None:
        """Raises InputError for a benchmark of which nothing can be compared."""
        comparable = np.zeros(len(self.ids), bool)
        if index.grams is not None:
            comparable = index.grams.totals > 0
        comparable[index.looks.items] = True
        comparable[index.directions.items] = True
        counts = np.bincount(
            np.array(self.numbers)[comparable], minlength=len(self.settings.places)
        )
        for (benchmark, place), count in zip(_placed(self.settings), counts, strict=True):
            if count == 0:
                raise InputError(
                    f"benchmark '{benchmark.name}': no item can be compared. Their texts have less "
                    f"than {self.settings.least} words, or their images no detail.",
                    place,
                    "Lower min_words, name longer fields, or leave the benchmark out.",
                )
