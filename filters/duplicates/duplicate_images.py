"""The step that keeps one of every family of images, in whatever records they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.duplicates.duplicates import Keep
from filters.duplicates.kinds.equal import SameMedia
from filters.duplicates.kinds.perceptual import HASH, MIRROR, Images
from filters.duplicates.phases.forest import Forest, Verdicts, verdicts
from filters.duplicates.phases.keys import Source
from filters.duplicates.phases.members import members
from filters.duplicates.phases.outcomes import by_part
from filters.duplicates.phases.remove_media import without
from filters.duplicates.phases.rows import Rows
from filters.duplicates.phases.search import Search
from filters.duplicates.phases.survivors import wish, wishes
from filters.image.image_hash import ImageHash
from filters.image.media_digest import MediaDigest
from manifests.record import media_lists
from manifests.step import Corpus, CorpusStep, Outcome, Part, RowStep, Workspace, reasons


class DuplicateImages(CorpusStep):
    """Keep one of every family of equal images, and take the others out of their records.

    By `perceptual` two images are equal that look the same: 64-bit perceptual hashes that differ
    in at most `distance` bits, mirrored ones too. By `image` they are byte for byte the same.

    The image stays that is best by `keep`, as for `duplicates`: of one image `media.pixels`
    and `media.bytes` are its own, other measures those of its record. An image that goes takes
    its place in the text and its objects with it. A record that has none left is dropped, unless
    `text_stays` and it has text. `removed` is how many images a record lost, `survivors` the
    ids of the records that have them still.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "removed": pa.int32(),
        "survivors": pa.list_(pa.string()),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("content", "media", "objects")

    by: Literal["perceptual", "image"] = Field(
        "perceptual", description="images that look the same, or that are the same bytes"
    )
    distance: Annotated[int, Field(ge=0, le=16)] = Field(
        6, description="perceptual: of 64 bits, so many may differ (ours)"
    )
    keep: Keep = Field(("-media.pixels", "id"), description="which image of a family stays")
    text_stays: bool = Field(False, description="keep records that have no image left but text")

    def reads(self) -> tuple[str, ...]:
        hashes = (HASH, MIRROR) if self.by == "perceptual" else ()
        kept = [wish(line).column for line in self.keep]
        return tuple(dict.fromkeys(("id", "content", "media", "objects", *hashes, *kept)))

    def required_steps(self) -> dict[str, RowStep]:
        if self.by == "perceptual":
            return {"image_hash": ImageHash()}
        return {"media_digest": MediaDigest()}

    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        sources = [Source(part.number, part.name) for part in corpus.parts]
        rows = Rows(corpus, each_medium=True)
        looks = self.by == "perceptual"
        search = Search(
            rows,
            sources,
            own=len(sources),
            units=sum(part.rows for part in corpus.parts),
            kind=Images(self.distance) if looks else None,
            equal=() if looks else (SameMedia(),),
        )
        wood = search(workspace)
        known = members(wood, rows, sources, wishes(self.keep), False, workspace)
        own = np.zeros(len(wood.units), bool)
        said = verdicts(wood, known.order(wood, own), own)
        for number, images in by_part(wood, len(sources)):
            part = corpus.parts[number]
            yield part, self._outcome(corpus.read(part), wood, said, known.ids, images)

    def _outcome(
        self, table: pa.Table, wood: Forest, said: Verdicts, ids: pa.Array, images: slice
    ) -> Outcome:
        offsets, flat = media_lists(table["media"])
        gone = np.zeros(len(flat), bool)
        survivor = np.full(len(flat), -1, np.int64)
        own = (wood.units[images] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        survivor[own] = said.survivor[images]
        gone = survivor >= 0
        before = np.concatenate([[0], np.cumsum(gone)])[offsets]
        survivors = pa.ListArray.from_arrays(
            pa.array(before.astype(np.int32)), ids.take(pa.array(survivor[gone]))
        )
        columns = without(table, gone)
        left = np.diff(offsets) - np.diff(before)
        bare = (np.diff(before) > 0) & (left == 0)
        if self.text_stays:
            bare &= np.diff(np.asarray(columns["content"].offsets)) == 0
        removed = pa.array(np.diff(before).astype(np.int32))
        measures = {"removed": removed, "survivors": survivors}
        return Outcome(measures | columns, reasons(table.num_rows, (bare, "no image left")))
