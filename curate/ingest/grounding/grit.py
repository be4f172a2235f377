"""GRIT: captions with the boxes that their phrases mean, and images by url or key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from curate.ingest.file_template import Files
from curate.ingest.formats.nested_tables import SUFFIXES, column_names, row_batches, row_splits
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.grounding.annotations.images_by_columns import images_by_columns
from curate.ingest.media_folder import MediaFolder
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.geometry.space import SPACES
from manifests.storage import File


class Grit(Reader):
    """GRIT (Kosmos-2): `caption` with `ref_exps` or `noun_chunks`, parquet or JSON lines.

    A row is a record: its image, its caption, and an object for each phrase that has a box,
    `[start, end, x1, y1, x2, y2, score]`: the box in shares of the image, the label the part of
    the caption from `start` to `end` (characters, which the files hold as floats); `start`, `end`
    and `score` are its attributes. Of the two lists `phrases` says which; the other stays in
    `meta`, with all other fields. Where the row tells `width` and `height`, an image of another
    shape fails: it was cropped, or is another by now. Nothing is fetched: the image lies below
    `media_root` under the name that `file` says, or as a downloader names it (`{key}`,
    `{key[0:5]}/{key}`, `{url_sha256}`, ...). A record's key is the file's name and the number of
    the row, from 0, or of the line, from 1.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    modality: ClassVar[str] = "grounding"

    media_root: str = Field(description="folder that the images lie in")
    file: Files | None = Field(
        None,
        description="name of a row's image below media_root, made of columns: "
        "`{key[0:5]}/{key}.jpg`; or several names to look for in order",
    )
    phrases: Literal["ref_exps", "noun_chunks"] = Field(
        "ref_exps", description="whole referring expressions, or the nouns they are grown from"
    )
    space: SpaceOverride = None
    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        names = column_names(head)
        return "caption" in names and bool({"ref_exps", "noun_chunks"} & names)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_splits(file, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, shelf = split.files[0], MediaFolder(self.media_root, context.base)
        space = self.space or SPACES["fraction"]
        for batch in row_batches(split, context):
            images = images_by_columns(batch.rows, "url", self.file, shelf, context, file.uri)
            samples = [AnnotatedImage(number, error) for number, error in batch.broken]
            rows = zip(batch.numbers, batch.rows, images, strict=True)
            samples += [self._sample(number, row, image) for number, row, image in rows]
            yield grounding_records(self, file, samples, space, context, self.trust)

    def _sample(self, number: int, row: dict[str, Any], image: Any) -> AnnotatedImage:
        try:
            caption, phrases = row.get("caption"), row.get(self.phrases)
            if not isinstance(caption, str):
                raise RowError(f"'caption' is {caption!r:.80}, not text")
            if not isinstance(phrases, list):
                raise RowError(f"{self.phrases!r} is {phrases!r:.80}, not a list of phrases")
            annotations = [_annotation(caption, phrase) for phrase in phrases]
        except RowError as error:
            return AnnotatedImage(number, error)
        rest = {k: v for k, v in row.items() if k not in ("caption", self.phrases)}
        return AnnotatedImage(number, image, annotations, _size(row), caption or None, rest)


def _size(row: dict[str, Any]) -> tuple[float, float] | None:
    """Of the image that the boxes are of: one cropped since then is another."""
    width, height = row.get("width"), row.get("height")
    is_told = isinstance(width, int | float) and isinstance(height, int | float)
    return (float(width or 0), float(height or 0)) if is_told else None


def _annotation(caption: str, phrase: Any) -> Annotation:
    if not isinstance(phrase, list) or len(phrase) not in (6, 7):
        raise RowError(f"a phrase is {phrase!r:.80}, not start, end, a box and a score")
    start, end, score = phrase[0], phrase[1], phrase[6] if len(phrase) == 7 else None
    if not all(isinstance(place, int | float) and place == place // 1 for place in (start, end)):
        raise RowError(f"a phrase is from {start!r:.40} to {end!r:.40}: no whole numbers")
    first, last = int(start), int(end)
    if not 0 <= first < last <= len(caption):
        raise RowError(f"a phrase is from {first} to {last} of {len(caption)} characters")
    said = {"start": first, "end": last, "score": score}
    return Annotation(caption[first:last].strip(), phrase[2:6], attributes=said)
