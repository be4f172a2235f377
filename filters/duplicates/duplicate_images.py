"""The step `duplicate_images`: keeps one image of every group of equal images, across all
records."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from filters.duplicates.corpus.rows import RowReader
from filters.duplicates.corpus.units import Source
from filters.duplicates.kinds.equal import SameMedia
from filters.duplicates.kinds.perceptual import LOOKS, Images, Tolerance
from filters.duplicates.outcome.outcomes import SURVIVOR, UNIT, read_outcomes, write_outcomes
from filters.duplicates.outcome.remove_media import remove_media
from filters.duplicates.phases.forest import spanning_forest
from filters.duplicates.phases.image_proof import ImageProof
from filters.duplicates.phases.search import Search
from filters.duplicates.ranking.sort_key import Keep, sort_key, sort_keys
from filters.image.image_hash import ImageHash
from filters.image.media_digest import MediaDigest
from manifests import storage
from manifests.record import media_lists, one_chunk
from manifests.step import Context, Corpus, CorpusStep, Outcome, RowStep, Workspace, reasons


class DuplicateImages(CorpusStep):
    """Keep one image of every family (group) of equal images, and remove the others from their
    records.

    With `by: perceptual`, two images are equal if they look the same, directly or after one of them
    is mirrored: their 64-bit perceptual hashes differ in at most `distance` bits, and their colours
    differ by at most `colour_distance` levels (of 0 to 255). For the colours, both images are
    reduced to 8 x 8 pixels and brought to the same brightness and contrast; the mean difference of
    the 4 pixels that differ most is taken. Only luma is compared if one of the images is gray. With
    `by: image`, two images are equal if they have the same bytes. Videos are treated as images.

    `keep` decides which image stays. It lists measures in order of preference; the lowest value of
    a measure is best or, with `-` in front, the highest. `media.pixels` and `media.bytes` are
    measured on the image itself, all other measures on its record. An image without the measure
    comes after the others. If all listed measures are equal, the image of the record with the
    lowest `id` stays; of several images in this record, the first stays. When an image is removed,
    its segment of `content` and its objects are removed too. A record that has no image or video
    left is dropped, unless `keep_text` is set and the record has text.

    `removed` is the number of images that were removed from a record; `survivors` lists the ids of
    the records that keep an equal image.
    """

    version: ClassVar[int] = 2
    rewrites: ClassVar[tuple[str, ...]] = ("content", "media", "objects")
    renamed: ClassVar[dict[str, str]] = {"text_stays": "keep_text"}

    by: Literal["perceptual", "image"] = Field(
        "perceptual", description="equal images look the same, or have the same bytes"
    )
    distance: Annotated[int, Field(ge=0, le=16)] = Field(
        6, description="perceptual: largest number of different bits, of 64 (our choice)"
    )
    colour_distance: Annotated[float, Field(ge=0, le=255)] = Field(
        24.0,
        description="perceptual: largest difference of the colours of two images, in levels of "
        "0 to 255 (our choice); 255 compares images by their hashes alone",
    )
    chains: Literal["cut", "keep"] = Field(
        "cut",
        description="perceptual: cut: every removed image is within the distance of the image that "
        "stays; keep: it is within the distance of this image or of another removed image",
    )
    keep: Keep = Field(
        ("-media.pixels", "id"),
        description="order of preference that decides which image of a family stays",
    )
    keep_text: bool = Field(False, description="keep records that have text but no image left")

    @model_validator(mode="after")
    def _uses_all(self) -> DuplicateImages:
        unused = {"distance", "colour_distance", "chains"} & self.model_fields_set
        if self.by == "image" and unused:
            raise ValueError(
                f"{min(unused)} has no effect with by: image, which compares bytes. Remove this "
                "setting, or write by: perceptual"
            )
        return self

    def measures(self) -> dict[str, pa.DataType]:
        return {"removed": pa.int32(), "survivors": pa.list_(pa.string())}

    def reads(self) -> tuple[str, ...]:
        looks = LOOKS if self.by == "perceptual" else ()
        kept = [sort_key(line).column for line in self.keep]
        return tuple(dict.fromkeys(("id", "content", "media", "objects", *looks, *kept)))

    def required_steps(self) -> dict[str, RowStep]:
        if self.by == "perceptual":
            return {"image_hash": ImageHash()}
        return {"media_digest": MediaDigest()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> str:
        """Searches for equal images, and returns the path of a file that states which images are
        removed."""
        search = self._search(corpus)
        forest = search.forest(workspace)
        within = None
        if self.by == "perceptual":
            tolerance = Tolerance(self.distance, self.colour_distance)
            if self.chains == "cut":
                within = tolerance
            else:
                proof = ImageProof(search.rows, search.sources, None, tolerance)
                forest = spanning_forest(proof.links(forest.edges, workspace))
        looks = within is not None
        found = search.survivors(forest, sort_keys(self.keep), looks, workspace, within)
        uri = storage.join(workspace.scratch, "outcomes.arrow")
        write_outcomes(uri, found, search.corpus_parts)
        return uri

    def apply(self, rows: pa.Table, fit: str, context: Context) -> Outcome:
        assert context.part is not None
        found = read_outcomes(fit, context.part)
        found = found.filter(found[SURVIVOR].is_valid())
        offsets, flat = media_lists(rows["media"])
        removed = np.zeros(len(flat), bool)
        removed[np.asarray(found[UNIT])] = True
        before = np.concatenate([[0], np.cumsum(removed)])[offsets]
        survivors = pa.ListArray.from_arrays(
            pa.array(before.astype(np.int32)), one_chunk(found[SURVIVOR])
        )
        columns = remove_media(rows, removed)
        lost, had = np.diff(before), np.diff(offsets)
        bare = (lost > 0) & (lost == had)
        if self.keep_text:
            bare &= np.diff(np.asarray(columns["content"].offsets)) == 0
        measures = {"removed": pa.array(lost.astype(np.int32)), "survivors": survivors}
        return Outcome(measures | columns, reasons(rows.num_rows, (bare, "no image left")))

    def _search(self, corpus: Corpus) -> Search:
        perceptual = self.by == "perceptual"
        return Search(
            RowReader(corpus, row_per_medium=True),
            [Source(part.number, part.name) for part in corpus.parts],
            corpus_parts=len(corpus.parts),
            units=sum(part.rows for part in corpus.parts),
            kind=Images(self.distance) if perceptual else None,
            equal=() if perceptual else (SameMedia(),),
        )
