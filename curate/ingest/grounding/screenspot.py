"""ScreenSpot: screenshots with an instruction and the box that it means, in both its forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.formats.nested_tables import (
    SUFFIXES,
    RowBatch,
    column_names,
    row_batches,
    row_splits,
)
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.image_columns import open_images
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

KIND, PRO_KIND = "data_type", "ui_type"
"""Whether it is text or an icon, in ScreenSpot and in ScreenSpot-Pro."""


class ScreenSpot(Reader):
    """ScreenSpot, v2 too: JSON with `img_filename`, or Hugging Face parquet with `image`.

    The same `bbox` is x, y, width and height in pixels in the JSON of the repository, and two
    corners in shares of the image in the parquet: which it is, is seen from the fields. A row
    is a record: its screenshot and one object, whose label is the `data_type` (text or icon),
    whose text is the `instruction`. A screenshot comes in several rows. All other fields go to
    `meta`. ScreenSpot-Pro, known by its `ui_type`, which is the label, has two corners in pixels.
    A record's key is the file's name and the number of the row, from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    keeps_bytes: ClassVar[bool] = True
    modality: ClassVar[str] = "grounding"

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    space: SpaceOverride = None
    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        names = column_names(head)
        return {"bbox", "instruction"} <= names and bool({"img_filename", "image"} & names)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_splits(file, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        for batch in row_batches(split, context):
            is_table = _has_images(batch)
            image = "image" if is_table else "img_filename"
            images = open_images(batch, image, root, context)
            samples = [AnnotatedImage(number, error) for number, error in batch.broken]
            rows = zip(batch.numbers, batch.rows, images, strict=True)
            samples += [_sample(number, row, opened) for number, row, opened in rows]
            space = self.space or _space(batch.rows, is_table)
            yield grounding_records(self, file, samples, space, context, self.trust)


def _has_images(batch: RowBatch) -> bool:
    return batch.table is not None and "image" in batch.table.schema.names


def _space(rows: list[dict[str, Any]], is_table: bool) -> Space:
    if any(PRO_KIND in row for row in rows):
        return Space(form="xyxy", unit="pixel")
    return SPACES["fraction" if is_table else "coco"]


def _sample(number: int, row: dict[str, Any], opened: Any) -> AnnotatedImage:
    kind = PRO_KIND if PRO_KIND in row else KIND
    label, text = row.get(kind), row.get("instruction")
    if not isinstance(text, str) or not isinstance(label, str | None):
        fault = f"'instruction' and {kind!r} are {text!r:.80} and {label!r:.40}, not text"
        return AnnotatedImage(number, RowError(fault))
    if row.get("bbox") is None:
        return AnnotatedImage(number, RowError("no 'bbox'"))
    rest = {k: v for k, v in row.items() if k not in ("bbox", "instruction", kind)}
    return AnnotatedImage(
        number, opened, [Annotation(label, row["bbox"], text=text)], _size(row), meta=rest
    )


def _size(row: dict[str, Any]) -> tuple[float, float] | None:
    """Of the screenshot, which ScreenSpot-Pro tells."""
    match row.get("img_size"):
        case [int() | float() as width, int() | float() as height]:
            return float(width), float(height)
    return None
