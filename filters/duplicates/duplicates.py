"""The step `duplicates`: keeps one record of every group of duplicates."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES, write_image_families
from filters.duplicates.corpus.index import (
    ENDING,
    IndexFiles,
    find_index_files,
    write_index,
)
from filters.duplicates.corpus.rows import RowReader
from filters.duplicates.corpus.units import Source
from filters.duplicates.kinds.bands import Bands, bands_note
from filters.duplicates.kinds.contract import Identity, Kind
from filters.duplicates.kinds.equal import SameMedia, SameText
from filters.duplicates.kinds.minhash import MinHash
from filters.duplicates.kinds.perceptual import Images, SameImages, Tolerance
from filters.duplicates.kinds.semantic import Semantic
from filters.duplicates.kinds.sequence import Sequence
from filters.duplicates.kinds.settings import (
    DEFAULTS,
    INDEXED,
    NEAR,
    By,
    contradiction,
    with_defaults,
)
from filters.duplicates.outcome.outcomes import (
    FAMILY,
    OF,
    SIMILARITY,
    SURVIVOR,
    outcome_of_part,
    write_outcomes,
)
from filters.duplicates.phases.forest import Forest
from filters.duplicates.phases.image_proof import ImageProof
from filters.duplicates.phases.search import Found, Search
from filters.duplicates.ranking.members import image_similarity
from filters.duplicates.ranking.sort_key import Keep, sort_key, sort_keys
from filters.image.image_hash import ImageHash
from filters.image.media_digest import MediaDigest
from manifests import storage
from manifests.run.kept_index import corpus_passes
from manifests.run.manifest import NAME
from manifests.setting_values import as_list, one_or_more
from manifests.step import Context, Corpus, CorpusStep, Location, Outcome, RowStep, Workspace


class Fit(NamedTuple):
    """The result of the method `fit`: the file that states what becomes of each record, and the
    folder for the index files."""

    outcomes: str
    kept: str


class Duplicates(CorpusStep):
    """Keep the best record of every family (group) of duplicates, and drop the others.

    `by` decides which records are duplicates:

    - `text`: records with the same text, ignoring case and runs of whitespace;
    - `image`: records with the same images and videos in the same order, byte for byte;
    - `minhash`: records with texts whose sets of n-grams have a Jaccard similarity of at least
      `threshold`. MinHash signatures (Broder 1997), cut into `bands` of `rows` values, find
      candidate pairs; the exact Jaccard similarity decides. Bands follow from the threshold, so
      that at least 0.99 of the pairs at the threshold are candidates; `curate plan` prints a
      note if `permutations`, `bands` or `rows` allow only fewer. A text shorter than an n-gram
      counts as one n-gram;
    - `perceptual`: records with the same number of images, in which each image looks like the image
      at the same position in the other record, mirrored or not: their 64-bit perceptual hashes
      differ in at most `distance` bits, and their colours differ by at most `colour_distance`
      levels (of 0 to 255). For the colours, both images are reduced to 8 x 8 pixels and brought to
      the same brightness and contrast; the mean difference of the 4 pixels that differ most is
      taken. Only luma is compared if one of the images is gray. A record with a video, or with an
      image of almost no detail, is never a duplicate;
    - `semantic`: records whose embeddings (the column `embedding`) have a cosine of at least
      `threshold`. With `clusters`, two records are compared only if they have a cluster in common
      or the same embedding (`clusters` names a column with the number of one cluster, or with a
      list of the nearest clusters);
    - `sequence`: records with images in common, such as frames of a video. The number of images
      that are in both records, divided by the number of images of the record with fewer images,
      must be at least `threshold`. An image is in both records if it looks like an image of the
      other record. The images of a record that look alike count once; videos, and images of almost
      no detail, do not count.

    If `by` lists several values, a pair must match on all of them. A record without the data that
    are compared (text, images, an embedding other than zeros) is never a duplicate. A family
    includes indirect duplicates: a and c are in one family if both are duplicates of b. For
    `perceptual` this is so only with `chains: keep`.

    The best record of a family stays. `keep` lists measures in order of preference. The lowest
    value of a measure is best; with `-` in front, the highest value is best. The list may contain
    `text.length` (characters), `text.words`, `media.count`, `media.pixels`, `media.bytes`,
    `objects.count`, the measure of an earlier step, and `{source: [first choice, second]}`. A
    record without the measure, or of a source that is not listed, comes after the others. If all
    listed measures are equal, the lowest `id` is best, so the order in which records are read never
    matters.

    The measures of a dropped record are `survivor`, the id of the record that stays; `of`, the id
    of the record that it is a duplicate of (the survivor, or a record that is linked to the
    survivor); and `similarity`, the similarity of the record and the record in `of`. Every record
    has `family`, the number of records in its family: 1 without duplicates. Records of earlier runs
    do not count.

    With `index: true` the run writes an index of the records that stay. If a later run lists this
    run's folder in `against`, it drops duplicates of these records. Both runs need the same `by`,
    `tokens`, `n`, `permutations`, `distance`, `embedding` and `clusters`.
    """

    version: ClassVar[int] = 3

    by: Annotated[tuple[By, ...], one_or_more(By)] = Field(
        min_length=1,
        description="what makes records duplicates; a pair must match on all listed values",
    )
    keep: Keep = Field(
        ("-media.pixels", "-text.length", "id"),
        description="order of preference that decides which record of a family stays",
    )
    threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="lowest similarity of duplicates (default: minhash 0.8, semantic 0.92, "
        "sequence 0.5)",
    )
    tokens: Literal["words", "whitespace", "characters"] | None = Field(
        None, description="minhash: unit of n-grams: words (of letters and digits; the "
        "default), words split at whitespace, or characters"
    )  # fmt: skip
    n: PositiveInt | None = Field(
        None, description="minhash: tokens in an n-gram (default 5 words, or 24 characters)"
    )
    permutations: PositiveInt | None = Field(
        None, description="minhash: values in a signature (default 128)"
    )
    bands: PositiveInt | None = Field(
        None,
        description="minhash: bands of a signature; candidates share at least one (default: by the "
        "threshold, 20 at 0.8)",
    )
    rows: PositiveInt | None = Field(
        None, description="minhash: values in a band (default: by the threshold, 6 at 0.8)"
    )
    verify: bool | None = Field(
        None,
        description="minhash: compare candidates by exact Jaccard similarity (default true); "
        "false accepts all candidates",
    )
    distance: int | None = Field(
        None,
        ge=0,
        le=16,
        description="perceptual, sequence: largest number of different bits, of 64 (default 6)",
    )
    colour_distance: float | None = Field(
        None,
        ge=0,
        le=255,
        description="perceptual, sequence: largest difference of the colours of two images, in "
        "levels of 0 to 255 (default 24); 255 compares images by their hashes alone",
    )
    chains: Literal["cut", "keep"] | None = Field(
        None,
        description="perceptual: cut: every dropped record is within the distance of the record "
        "that stays (the default); keep: it is within the distance of this record or of another "
        "dropped record (the default with minhash or semantic)",
    )
    embedding: str | None = Field(None, description="semantic: the column that has the embeddings")
    clusters: str | None = Field(
        None,
        description="semantic: the column that has the nearest clusters of a record; only records "
        "that share a cluster are compared; null: compare all records",
    )
    index: bool = Field(False, description="keep an index for later runs")
    against: Annotated[tuple[str, ...], Location()] = Field(
        (),
        description="folders of earlier runs; duplicates of the records in their indexes are "
        "dropped",
    )

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Fills in the defaults of the settings that the values of `by` use. Raises ValueError for
        a setting that no value of `by` uses, such as `distance` with `by: minhash`."""
        ways = as_list(given.get("by")) if isinstance(given, dict) else None
        return with_defaults(given, ways) if isinstance(ways, list | tuple) else given

    @model_validator(mode="after")
    def _consistent(self) -> Duplicates:
        if fault := contradiction(self.by):
            raise ValueError(fault)
        if "semantic" in self.by and self.embedding is None:
            raise ValueError(
                "by: semantic needs the setting embedding: the column that has the embeddings"
            )
        if self.bands and self.rows and self.bands * self.rows > (self.permutations or 0):
            needed = self.bands * self.rows
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {needed} permutations, but there are "
                f"{self.permutations}: raise permutations, or lower bands or rows"
            )
        if self.chains == "cut" and (near := [way for way in self.by if way in NEAR]):
            raise ValueError(
                f"chains: cut is not possible with {near[0]}: a chain can be cut only with "
                "by: perceptual. Write chains: keep"
            )
        return self

    def measures(self) -> dict[str, pa.DataType]:
        return {
            SURVIVOR: pa.string(), OF: pa.string(), SIMILARITY: pa.float32(), FAMILY: pa.int32()
        }  # fmt: skip

    def notes(self, base: str) -> tuple[str, ...]:
        if "minhash" not in self.by:
            return ()
        used = self._settings("minhash")
        chosen = Bands(used["bands"], used["rows"])
        note = bands_note(used["threshold"], used["permutations"], chosen, used["verify"])
        return (note,) if note else ()

    def reads(self) -> tuple[str, ...]:
        compared = [name for one in self._identities() for name in one.columns]
        kinds = (self._images(), self._near())
        compared += [name for kind in kinds if kind for name in kind.columns]
        kept = [sort_key(line).column for line in self.keep]
        names = dict.fromkeys(("id", *compared, *kept))
        return tuple(name for name in names if name != IMAGE_FAMILIES)

    def required_steps(self) -> dict[str, RowStep]:
        needs: dict[str, RowStep] = {}
        if "image" in self.by:
            needs["media_digest"] = MediaDigest()
        if self._images():
            needs["image_hash"] = ImageHash()
        return needs

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the paths of manifests of the earlier runs in `against`: one for each pass of a
        corpus step, because such a pass may have written the index. Equal indexes have equal
        manifests, because a manifest contains no timestamps."""
        runs = (storage.resolve(base, run) for run in self.against)
        return tuple(storage.join(place, NAME) for run in runs for place in corpus_passes(run))

    def _images(self) -> Images | None:
        """Returns the comparison of images that the setting `by` asks for; None if `by` compares no
        images."""
        return None if self.distance is None else Images(self.distance)

    def _tolerance(self) -> Tolerance:
        assert self.distance is not None
        assert self.colour_distance is not None
        return Tolerance(self.distance, self.colour_distance)

    def _identities(self) -> tuple[Identity, ...]:
        ways: dict[str, Identity] = {
            "text": SameText(), "image": SameMedia(), "perceptual": SameImages()
        }  # fmt: skip
        return tuple(ways[way] for way in self.by if way in ways)

    def _near(self, dimensions: int = 0) -> Kind | None:
        """Returns the kind of near-duplicate that `by` lists (minhash, semantic or sequence); None
        if it lists none of these. `dimensions` is the length of the embeddings, for semantic."""
        if "minhash" in self.by:
            return MinHash(**self._settings("minhash"))
        if "sequence" in self.by:
            used = self._settings("sequence")
            return Sequence(used["threshold"], self._tolerance())
        if "semantic" in self.by:
            return Semantic(**self._settings("semantic"), dimensions=dimensions)
        return None

    def _settings(self, way: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DEFAULTS[way]}

    def _dimensions(self, corpus: Corpus) -> int:
        """Returns the length of the first embedding of the corpus; 0 if no record has an
        embedding."""
        column = self.embedding
        if column is None:
            return 0
        for part in corpus.parts:
            lengths = pc.list_value_length(corpus.read(part, (column,))[column])
            if (found := pc.max(lengths).as_py()) is not None:
                return int(found)
        return 0

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        search = self._search(corpus, self._index_files(workspace))
        if images := self._images():
            families = search._replace(kind=images).forest(workspace, "images-")
            uri = write_image_families(families, len(search.sources), workspace)
            search = search._replace(rows=replace(search.rows, families_uri=uri))
            if self.chains == "keep":
                proof = ImageProof(search.rows, search.sources, families, self._tolerance())
                search = search._replace(proof=proof)
        near = self._near(self._dimensions(corpus))
        search = search._replace(kind=near, equal=self._identities())
        found = self._survivors(search, search.forest(workspace), workspace)
        outcomes = storage.join(workspace.scratch, "outcomes.arrow")
        write_outcomes(outcomes, found, search.corpus_parts)
        return Fit(outcomes, workspace.kept)

    def apply(self, rows: pa.Table, fit: Fit, context: Context) -> Outcome:
        part = context.part
        assert part is not None
        outcome = outcome_of_part(fit.outcomes, part)
        if not self.index:
            return outcome
        assert outcome.drop is not None
        kinds = [kind for kind in (self._images(), self._near()) if kind]
        uri = storage.join(fit.kept, part.name + ENDING)
        entry = write_index(uri, rows, outcome.drop.is_null(), [*kinds, *self._identities()])
        return outcome._replace(files=(entry,))

    def _search(self, corpus: Corpus, index: IndexFiles) -> Search:
        names = [part.name for part in corpus.parts]
        names += [f"index-{number:06d}" for number in range(len(index.files))]
        sources = [Source(number, name) for number, name in enumerate(names)]
        units = sum(part.rows for part in corpus.parts) + index.rows
        return Search(RowReader(corpus, index.files), sources, len(corpus.parts), units, None)

    def _index_files(self, workspace: Workspace) -> IndexFiles:
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        settings = self.model_dump(mode="json", include=INDEXED)
        runs = tuple(map(workspace.resolve, self.against))
        return find_index_files(runs, kind, self.version, settings)

    def _survivors(self, search: Search, forest: Forest, workspace: Workspace) -> Found:
        """Chooses the record of each family (group of duplicates) that stays. If records are
        duplicates because their images look the same, their similarity is computed from the hashes
        of the images."""
        by_images = "perceptual" in self.by
        within = self._tolerance() if self.chains == "cut" else None
        found = search.survivors(forest, sort_keys(self.keep), by_images, workspace, within)
        _, duplicate_of, similarity, _ = found.survivors
        dropped = np.flatnonzero(duplicate_of >= 0)
        if by_images and len(dropped):
            of_images = image_similarity(
                found.members, dropped, duplicate_of[dropped], self._tolerance()
            )
            similarity[dropped] = np.minimum(similarity[dropped], of_images)
        return found
