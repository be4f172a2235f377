"""ScreenSpot: screenshots, each with an instruction and the box of the screen element to which the
instruction refers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.formats.nested_tables import (
    RowBatch,
    column_names,
    row_batches,
)
from curate.ingest.grounding.annotations.annotated_table import AnnotatedTable, annotated_rows
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.image_columns import open_images
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Split
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space

KIND, PRO_KIND = "data_type", "ui_type"
"""The fields with the type of an element (text, icon) in ScreenSpot and in ScreenSpot-Pro."""


class ScreenSpot(AnnotatedTable):
    """ScreenSpot and ScreenSpot-v2 (JSON, or Hugging Face parquet), and ScreenSpot-Pro.

        {"img_filename": "pc_1.png", "instruction": "open settings", "data_type": "icon",
         "bbox": [64, 48, 64, 48]}

    Each row becomes a record: its screenshot and one object, whose label is `data_type` (text or
    icon) and whose text is the `instruction`. A screenshot may occur in several rows. All other
    fields go to `meta`.

    In the JSON files of ScreenSpot, which have the field `img_filename`, `bbox` is x, y, width,
    height in pixels. In the parquet files, which have the column `image`, `bbox` is two corners in
    fractions of the image. ScreenSpot-Pro has a `ui_type`, which becomes the label, and its `bbox`
    is two corners in pixels. The fields of each row decide how its `bbox` is read. Unless `space`
    is set, a row with both `data_type` and `ui_type` is quarantined, and so is a row with neither
    of these fields in a file without the column `image`. Whether the numbers fit the images is
    checked over the complete source. The key of a record is the file's name and the number of the
    row, from 0, or of the line, from 1.
    """

    version: ClassVar[int] = 4
    own_space: ClassVar[Space] = SPACES["coco"]

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        names = column_names(head)
        return {"bbox", "instruction"} <= names and bool({"img_filename", "image"} & names)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        for batch in row_batches(split, context):
            is_parquet = _has_image_column(batch)
            name = "image" if is_parquet else "img_filename"
            images = open_images(batch, name, root, context)
            parse = partial(self._parse, is_parquet)
            yield self.records(file, annotated_rows(batch, images, parse), context)

    def _parse(
        self, is_parquet: bool, number: int, row: dict[str, Any], image: OpenedImage | RowError
    ) -> AnnotatedImage:
        kind = PRO_KIND if PRO_KIND in row else KIND
        label, text, box = row.get(kind), row.get("instruction"), row.get("bbox")
        if not isinstance(text, str) or not isinstance(label, str | None):
            raise RowError(
                f"the fields 'instruction' and {kind!r} are {text!r:.80} and {label!r:.40}, "
                "not text"
            )
        if box is None:
            raise RowError("the row has no 'bbox'")
        space = None if self.space is not None else _space(row, is_parquet)
        meta = without(row, "bbox", "instruction", kind)
        objects = [Annotation(label, box, text=text)]
        return AnnotatedImage(number, image, objects, _size(row), meta=meta, space=space)


def _has_image_column(batch: RowBatch) -> bool:
    return batch.table is not None and "image" in batch.table.schema.names


def _space(row: dict[str, Any], is_parquet: bool) -> Space:
    """Returns the coordinate space of a row's `bbox`. Raises RowError if the fields of the row do
    not determine the space."""
    if is_parquet and PRO_KIND not in row:
        return SPACES["fraction"]
    if (KIND in row) == (PRO_KIND in row):
        has = "both" if KIND in row else "neither"
        raise RowError(
            f"the row has {has} of {KIND!r} and {PRO_KIND!r}, so it is not known whether its "
            "'bbox' is x y width height (ScreenSpot) or two corners (ScreenSpot-Pro).",
            fix="Set `space`, for example to `xywh pixel` or `xyxy pixel`.",
        )
    return SPACES["coco"] if KIND in row else Space(form="xyxy", unit="pixel")


def _size(row: dict[str, Any]) -> tuple[float, float] | None:
    """Returns the size of the screenshot, which is in the field `img_size` of ScreenSpot-Pro
    (`[3840, 2160]`); None if the row has no such field."""
    match row.get("img_size"):
        case [int() | float() as width, int() | float() as height]:
            return float(width), float(height)
    return None
