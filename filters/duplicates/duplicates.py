"""The step that keeps one record of every family of duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from filters.duplicates.contract import Identity, Kind, units_of
from filters.duplicates.kinds.equal import SameMedia, SameText
from filters.duplicates.kinds.minhash import MinHash
from filters.duplicates.kinds.perceptual import FAMILIES, Images, SameImages
from filters.duplicates.kinds.semantic import Semantic
from filters.duplicates.kinds.sequence import Sequence
from filters.duplicates.phases.forest import Forest, Verdicts, verdicts
from filters.duplicates.phases.index import Remembered, WriteIndex, corpus_passes, remembered
from filters.duplicates.phases.keys import Source
from filters.duplicates.phases.members import Members, likeness, members
from filters.duplicates.phases.outcomes import (
    FAMILY,
    OF,
    SIMILARITY,
    SURVIVOR,
    outcomes,
    write_gone,
)
from filters.duplicates.phases.rows import Rows, write_families
from filters.duplicates.phases.search import Search
from filters.duplicates.phases.survivors import unknown, wish, wishes
from filters.image.image_hash import ImageHash
from filters.image.media_digest import MediaDigest
from manifests import storage
from manifests.run.manifest import NAME
from manifests.step import Corpus, CorpusStep, Outcome, Part, RowStep, Workspace
from manifests.storage.file_entry import FileEntry

By = Literal["text", "image", "minhash", "perceptual", "semantic", "sequence"]
_NEAR = ("minhash", "semantic", "sequence")
_TOKENS_OF_A_SHINGLE = {"words": 5, "whitespace": 5, "characters": 24}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "minhash": {
        "threshold": 0.8,
        "tokens": "words",
        "n": None,
        "permutations": 128,
        "bands": 20,
        "rows": 6,
        "verify": True,
    },
    "perceptual": {"distance": 6},
    "semantic": {"threshold": 0.92, "embedding": None, "clusters": None},
    "sequence": {"threshold": 0.5, "distance": 6},
}
"""The settings of each way to be duplicates. All of these numbers are ours."""
_OF_THE_INDEX = {
    "by", "tokens", "n", "permutations", "bands", "rows", "distance", "embedding", "clusters"
}  # fmt: skip
"""Settings in which an index and a step that compares with it agree."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


def _orders(value: Any) -> Any:
    """A list of lines, in which `{source: web}` is an order of one source."""
    lines = _listed(value)
    if not isinstance(lines, list | tuple):
        return lines
    return [
        {name: _listed(order) for name, order in line.items()} if isinstance(line, dict) else line
        for line in lines
    ]


Line = str | dict[Literal["source"], tuple[str, ...]]


def _tellable(keep: tuple[Line, ...]) -> tuple[Line, ...]:
    if {"source", "-source"} & {line for line in keep if isinstance(line, str)}:
        raise ValueError("source wants an order, {source: [first, second]}")
    if "-id" in keep:
        raise ValueError("of the ids the lowest is best: id")
    for line in keep:
        if fault := unknown(wish(line).measure):
            raise ValueError(fault)
    return keep


Keep = Annotated[tuple[Line, ...], BeforeValidator(_orders), AfterValidator(_tellable)]


class Duplicates(CorpusStep):
    """Keep the best record of every family of duplicates, and drop the others.

    Two records are duplicates by

    - `text`: the same text, but for case and runs of whitespace;
    - `image`: the same images and videos in the same order, byte for byte;
    - `minhash`: texts whose sets of n-grams have a Jaccard similarity of at least `threshold`.
      MinHash signatures (Broder 1997) cut into `bands` of `rows` values find the pairs, the exact
      Jaccard similarity decides. A text shorter than an n-gram is compared as a whole;
    - `perceptual`: images that look the same, one by one in order: 64-bit perceptual hashes
      that differ in at most `distance` bits, mirrored ones too;
    - `semantic`: the column `embedding` of both, cosine at least `threshold`, compared within
      the `clusters` (a column of one number, or a list of the nearest ones) they have in common;
    - `sequence`: of the images of the record with fewer (the frames of a video), at least the
      share `threshold` looks the same as one of the other.

    Several of them: all must hold. A record without text, images or embedding is a duplicate of
    none. Families are chains: a and c are of one family where both are duplicates of b.

    Of a family the record stays that is best by `keep`, an order of measures: less of the measure
    is better, with `-` in front more is. `text.length` (characters), `text.words`, `media.count`,
    `media.pixels`, `media.bytes`, `objects.count`, the measure of an earlier step, and
    `{source: [first choice, second]}`; last of all the `id` decides, so it never matters which
    record comes first.

    A dropped record names its `survivor`, the record it is a duplicate `of` on the way there (the
    survivor itself or another of the family), their `similarity`, and the size of the `family`.

    `index: true` leaves what a later run needs to drop what this one kept: it names this run's
    folder in `against`, and has the same settings.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        SURVIVOR: pa.string(),
        OF: pa.string(),
        SIMILARITY: pa.float32(),
        FAMILY: pa.int32(),
    }

    by: Annotated[tuple[By, ...], BeforeValidator(_listed)] = Field(
        min_length=1, description="what makes records duplicates; several: all of them must hold"
    )
    keep: Keep = Field(
        ("-media.pixels", "-text.length", "id"), description="which record of a family stays"
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="least similarity: minhash 0.8, semantic 0.92, sequence 0.5"
    )
    tokens: Literal["words", "whitespace", "characters"] | None = Field(
        None, description="minhash: what n-grams are of: words (split at all that is no letter or "
        "digit; the default), words split at whitespace, or characters"
    )  # fmt: skip
    n: PositiveInt | None = Field(
        None, description="minhash: tokens of an n-gram: 5 words, 24 characters"
    )
    permutations: PositiveInt | None = Field(
        None, description="minhash: values of a signature: 128"
    )
    bands: PositiveInt | None = Field(
        None, description="minhash: bands, of which two texts must have one in common: 20"
    )
    rows: PositiveInt | None = Field(None, description="minhash: values of a band: 6")
    verify: bool | None = Field(
        None, description="minhash: true, prove pairs by exact Jaccard; false, take all that meet"
    )
    distance: int | None = Field(
        None, ge=0, le=16, description="perceptual, sequence: of 64 bits, so many may differ: 6"
    )
    embedding: str | None = Field(None, description="semantic: the column of embeddings")
    clusters: str | None = Field(
        None, description="semantic: the column of nearest clusters; null: all against all"
    )
    index: bool = Field(False, description="leave an index for later runs")
    against: tuple[str, ...] = Field(
        (), description="folders of earlier runs whose index to drop duplicates of"
    )

    @model_validator(mode="before")
    @classmethod
    def _settings_of_its_ways(cls, said: Any) -> Any:
        """Refuse settings of other ways, and fill in those of these."""
        ways = _listed(said.get("by")) if isinstance(said, dict) else None
        if not isinstance(ways, list | tuple):
            return said
        own = {k: v for way in ways for k, v in _DEFAULTS.get(str(way), {}).items()}
        for way, settings in _DEFAULTS.items():
            for name in settings:
                if said.get(name) is not None and name not in own:
                    raise ValueError(
                        f"{name}: is a setting of {way}, not of {', '.join(map(str, ways))}"
                    )
        if "minhash" in ways and said.get("n") is None:
            own["n"] = _TOKENS_OF_A_SHINGLE.get(said.get("tokens") or "words")
        given = {name: value for name, value in said.items() if value is not None}
        return own | given

    @model_validator(mode="after")
    def _makes_sense(self) -> Duplicates:
        if len(set(self.by)) < len(self.by):
            raise ValueError("by: names the same thing twice")
        if sum(way in _NEAR for way in self.by) > 1:
            raise ValueError(f"by: takes one of {', '.join(_NEAR)}, not several")
        if {"perceptual", "sequence"} <= set(self.by):
            raise ValueError("by: takes perceptual or sequence, not both")
        if "semantic" in self.by and self.embedding is None:
            raise ValueError("by: semantic wants the column of embeddings in `embedding`")
        if self.bands and self.rows and self.bands * self.rows > (self.permutations or 0):
            wanted = self.bands * self.rows
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows want {wanted} permutations, there are "
                f"{self.permutations}"
            )
        return self

    def reads(self) -> tuple[str, ...]:
        compared = [name for one in self._equal() for name in one.columns]
        compared += [name for one in (self._look(), self._near()) if one for name in one.columns]
        kept = [wish(line).column for line in self.keep]
        names = dict.fromkeys(("id", *compared, *kept))
        return tuple(name for name in names if name != FAMILIES)

    def required_steps(self) -> dict[str, RowStep]:
        needs: dict[str, RowStep] = {}
        if "image" in self.by:
            needs["media_digest"] = MediaDigest()
        if self._look():
            needs["image_hash"] = ImageHash()
        return needs

    def files(self, base: str) -> tuple[str, ...]:
        """The manifests of the passes that may have left an index: they tell no time."""
        runs = (storage.resolve(base, run) for run in self.against)
        return tuple(storage.join(place, NAME) for run in runs for place in corpus_passes(run))

    def _look(self) -> Images | None:
        """How images are compared, where they are."""
        return None if self.distance is None else Images(self.distance)

    def _equal(self) -> tuple[Identity, ...]:
        ways: dict[str, Identity] = {
            "text": SameText(), "image": SameMedia(), "perceptual": SameImages()
        }  # fmt: skip
        return tuple(ways[way] for way in self.by if way in ways)

    def _near(self, dimensions: int = 0) -> Kind | None:
        """What decides of records that are not equal. `dimensions`: of the embeddings."""
        if "minhash" in self.by:
            return MinHash(**self._settings("minhash"))
        if "sequence" in self.by:
            return Sequence(self._settings("sequence")["threshold"])
        if "semantic" in self.by:
            return Semantic(**self._settings("semantic"), dimensions=dimensions)
        return None

    def _settings(self, way: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _DEFAULTS[way]}

    def _dimensions(self, corpus: Corpus) -> int:
        """How long the embeddings are, by the first there is; 0 without any."""
        column = self.embedding
        if column is None:
            return 0
        for part in corpus.parts:
            lengths = pc.list_value_length(corpus.read(part, (column,))[column])
            if (found := pc.max(lengths).as_py()) is not None:
                return int(found)
        return 0

    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        old = self._remembered(workspace)
        search = self._search(corpus, old)
        kinds: list[Kind] = []
        if look := self._look():
            kinds.append(look)
            families = search._replace(kind=look)(workspace, "images-")
            uri = write_families(families, len(search.sources), workspace)
            search = search._replace(rows=replace(search.rows, families=uri))
        if kind := self._near(self._dimensions(corpus)):
            kinds.append(kind)
        wood = search._replace(kind=kind, equal=self._equal())(workspace)
        known = self._members(wood, search, workspace)
        foreign = wood.units >= units_of(search.own, np.zeros(1))
        said = self._verdicts(wood, known, foreign)
        kept = self._index(search, tuple(kinds), wood, said, workspace)
        for part, outcome in outcomes(corpus.parts, wood, said, known.ids, foreign):
            yield part, outcome._replace(files=kept.get(part.number, ()))

    def _search(self, corpus: Corpus, old: Remembered) -> Search:
        names = [part.name for part in corpus.parts]
        names += [f"index-{number:06d}" for number in range(len(old.files))]
        sources = [Source(number, name) for number, name in enumerate(names)]
        units = sum(part.rows for part in corpus.parts) + old.rows
        return Search(Rows(corpus, old.files), sources, len(corpus.parts), units, None)

    def _remembered(self, workspace: Workspace) -> Remembered:
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        said = self.model_dump(mode="json", include=_OF_THE_INDEX)
        return remembered(tuple(map(workspace.resolve, self.against)), kind, said)

    def _members(self, wood: Forest, search: Search, workspace: Workspace) -> Members:
        looks = "perceptual" in self.by
        return members(wood, search.rows, search.sources, wishes(self.keep), looks, workspace)

    def _verdicts(self, wood: Forest, known: Members, foreign: np.ndarray) -> Verdicts:
        said = verdicts(wood, known.order(wood, foreign), foreign)
        gone = np.flatnonzero(said.of >= 0)
        if "perceptual" in self.by and len(gone):
            like = likeness(known, gone, said.of[gone])
            said.similarity[gone] = np.minimum(said.similarity[gone], like)
        return said

    def _index(
        self,
        search: Search,
        kinds: tuple[Kind, ...],
        wood: Forest,
        said: Verdicts,
        workspace: Workspace,
    ) -> dict[int, tuple[FileEntry, ...]]:
        """The files of the index by part, where one is asked for."""
        if not self.index:
            return {}
        gone = storage.join(workspace.scratch, "gone.arrow")
        write_gone(gone, wood, said, search.own)
        work = WriteIndex(search.rows, kinds, self._equal(), gone, workspace.kept)
        written = workspace.map(work, search.sources[: search.own])
        return {source.number: (entry,) for source, entry in written}
