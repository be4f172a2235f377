"""COCO captions: the arrays `images` and `annotations` of one JSON object, joined by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from curate.ingest.captions.records.coco_images import CocoImages
from curate.ingest.captions.records.rows import CaptionRow, batch_of_failures, batch_of_rows
from curate.ingest.formats.coco_ids import SplitIds, earlier_ids, ids_in_split
from curate.ingest.formats.json_elements import batches, elements, object_keys
from curate.ingest.formats.json_fields import as_object, caption_field, id_field
from curate.ingest.formats.json_object import (
    SUFFIXES,
    find_arrays,
    first_element,
    splits_of_array,
)
from curate.ingest.formats.json_pieces import Element
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.storage import File


class CocoCaptions(Reader):
    """COCO captions: one JSON object whose `annotations` refer to its `images` by `image_id`.

        {"images": [{"id": 9, "file_name": "9.jpg", "width": 640, "height": 480}],
         "annotations": [{"id": 1, "image_id": 9, "caption": "A cat on a sofa."}]}

    Each annotation becomes a record with the image `file_name` below `media_root`, followed by the
    `caption`. If the caption is null, the record has only the image. An image without annotations
    produces no record. The other fields of the annotation go to `meta`, and the other fields of its
    entry in `images` go to `image` in `meta`. The record's width and height are read from the image
    file. A record's key is the file's name and the annotation's id; a second annotation with the
    same id is quarantined. A task holds only the image entries of its own split in memory, even if
    the file has many more.
    """

    version: ClassVar[int] = 2
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        if first is None:  # a file without annotations is valid
            return {"images", "annotations"} <= set(object_keys(head.data))
        return isinstance(first, dict) and "caption" in first and "image_id" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "annotations")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        ranges, faults = find_arrays(place, ("images", "annotations"))
        ids = ids_in_split(place, split) if "annotations" in ranges else SplitIds(set(), set())
        images = CocoImages(root_of(self.media_root, file, context.base), context.media)
        if "images" in ranges:
            faults += images.read(place, ranges["images"], ids.images)
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults)
        if "annotations" in ranges:
            seen = earlier_ids(place, ranges["annotations"], split, ids.annotations)
            for batch in batches(elements(place, *split[1:])):
                rows = [_row(element, seen, images) for element in batch]
                yield batch_of_rows(self, file, rows)


def _row(element: Element, seen: set[str], images: CocoImages) -> CaptionRow:
    """Returns the row of an annotation, and adds the annotation's id to `seen`."""
    within = f"annotations[{element.number}]"
    try:
        annotation = as_object(element)
        key = id_field(annotation, "id")
        if key in seen:
            raise RowError(f"an earlier annotation has the id {key}")
        seen.add(key)
        within = key
        text = caption_field(annotation, "caption")
        image = images.image(id_field(annotation, "image_id"))
    except RowError as error:
        return CaptionRow(within, error)
    fields = {k: v for k, v in annotation.items() if k not in ("id", "caption")}
    return CaptionRow(within, image.opened, text, to_json({**fields, "image": image.fields}))
