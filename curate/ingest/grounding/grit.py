"""GRIT: captions with a box for each phrase, and images by url or key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from curate.ingest.evidence import Findings
from curate.ingest.file_template import Files
from curate.ingest.formats.nested_tables import column_names, row_batches
from curate.ingest.grounding.annotations.annotated_table import AnnotatedTable, annotated_rows
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.fields import size_in, without
from curate.ingest.grounding.annotations.images_by_columns import (
    check_templates,
    images_by_columns,
    last_parts_of,
)
from curate.ingest.images import OpenedImage
from curate.ingest.last_parts import check_last_parts
from curate.ingest.media_folder import MediaFolder
from curate.ingest.reader import Context, Head, ReadBatch, Split
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File


class Grit(AnnotatedTable):
    """GRIT (Kosmos-2): `caption` with `ref_exps` or `noun_chunks`, as parquet or JSON lines.

        {"key": "000423", "url": "https://a.org/b.jpg", "width": 640, "height": 480,
         "caption": "A dog in a red hat", "ref_exps": [[0, 5, 0.1, 0.1, 0.2, 0.2, 0.9]]}

    Each row becomes a record: its image, its caption, and an object for each phrase. A phrase is
    `[start, end, x1, y1, x2, y2, score]`. The box is in fractions of the image; the label is the
    part of the caption from `start` to `end` (character positions, stored as whole floats);
    `start`, `end` and `score` become attributes. The setting `phrases` chooses the list of phrases,
    `ref_exps` or `noun_chunks`; the other list and all other fields go to `meta`.

    If a row has `width` and `height`, an image with another aspect ratio fails, because the image
    was cropped or replaced. Nothing is downloaded. The image is the file below `media_root` that
    the setting `file` names. If `file` is not set, the image must have a name that downloaders
    commonly use (`{key}`, `{key[0:5]}/{key}`, `{url_sha256}`, ...). The key of a record is the
    file's name and the number of the row, from 0, or of the line, from 1.
    """

    version: ClassVar[int] = 4
    own_space: ClassVar[Space] = SPACES["fraction"]

    media_root: str = Field(description="folder of the images")
    file: Files | None = Field(
        None,
        description="file name of a row's image below media_root, made from its columns, such "
        "as `{key[0:5]}/{key}.jpg`; or several names that are tried in order",
    )
    phrases: Literal["ref_exps", "noun_chunks"] = Field(
        "ref_exps",
        description="list of phrases to use: referring expressions, or only the nouns inside them",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        names = column_names(head)
        return "caption" in names and bool({"ref_exps", "noun_chunks"} & names)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        check_templates(self.file, "url", head, file.uri)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, folder = split.files[0], MediaFolder(self.media_root, context.base)
        last_parts = last_parts_of(split, "url", context)
        for batch in row_batches(split, context):
            images = images_by_columns(
                batch.rows, "url", self.file, folder, context, last_parts, file.uri
            )
            found = self.records(file, annotated_rows(batch, images, self._parse), context)
            yield found._replace(evidence={**found.evidence, **last_parts.evidence()})

    def check_evidence(self, evidence: Findings) -> None:
        super().check_evidence(evidence)
        check_last_parts(evidence, self.path)

    def _parse(
        self, number: int, row: dict[str, Any], image: OpenedImage | RowError
    ) -> AnnotatedImage:
        caption, phrases = row.get("caption"), row.get(self.phrases)
        if not isinstance(caption, str):
            raise RowError(f"'caption' is {caption!r:.80}, not text")
        if not isinstance(phrases, list):
            raise RowError(f"{self.phrases!r} is {phrases!r:.80}, not a list of phrases")
        annotations = [_annotation(caption, phrase) for phrase in phrases]
        size = size_in(row, "width", "height")
        meta = without(row, "caption", self.phrases)
        return AnnotatedImage(number, image, annotations, size, caption or None, meta)


def _annotation(caption: str, phrase: Any) -> Annotation:
    """Makes an annotation from a phrase: caption `"A dog runs"` and phrase `[0, 5, 0.1, 0.1, 0.2,
    0.2, 0.9]` -> label `"A dog"`, box `[0.1, 0.1, 0.2, 0.2]`."""
    if not isinstance(phrase, list) or len(phrase) not in (6, 7):
        raise RowError(
            f"a phrase is {phrase!r:.80}, not a list of start, end, four box "
            "coordinates and a score"
        )
    start, end, score = phrase[0], phrase[1], phrase[6] if len(phrase) == 7 else None
    if not all(isinstance(place, int | float) and place == place // 1 for place in (start, end)):
        fault = f"a phrase goes from {start!r:.40} to {end!r:.40}, which are not whole numbers"
        raise RowError(fault)
    first, last = int(start), int(end)
    if not 0 <= first < last <= len(caption):
        raise RowError(
            f"a phrase goes from character {first} to {last}, but the caption has "
            f"{len(caption)} characters"
        )
    attributes = {"start": first, "end": last, "score": score}
    return Annotation(caption[first:last].strip(), phrase[2:6], attributes=attributes)
