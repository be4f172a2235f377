"""COCO captions: the arrays `images` and `annotations` of one JSON object, joined by id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.captions.records.coco_images import CocoImages, Entries
from curate.ingest.captions.records.rows import CaptionRow, batch_of_failures, batch_of_rows
from curate.ingest.formats.coco_ids import SplitIds, read_ids
from curate.ingest.formats.json_elements import batches, element_groups, object_keys
from curate.ingest.formats.json_fields import as_objects, caption_field, id_field
from curate.ingest.formats.json_object import (
    SUFFIXES,
    count_array,
    find_arrays,
    first_element,
    splits_of_array,
)
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.storage import File


class CocoCaptions(Reader):
    """COCO captions: one JSON object whose `annotations` refer to its `images` by `image_id`.

        {"images": [{"id": 9, "file_name": "9.jpg", "width": 640, "height": 480}],
         "annotations": [{"id": 1, "image_id": 9, "caption": "A cat on a sofa."}]}

    Each annotation becomes a record with the image `file_name` below `media_root`, followed by the
    `caption`. If the caption is null, the record has only the image. Images without annotations are
    left aside: they are counted, but become neither records nor errors. The other fields of the
    annotation go to `meta`, and the other fields of its entry in `images` go to `image` in `meta`.
    The record's width and height are read from the image file.

    A record's key is the file's name and the annotation's id. In merged files, in which ids start
    again at 1, annotations that share an id have the key `image id/annotation id`. If several
    annotations have the same id and the same image id, all of them are quarantined, and so are all
    annotations of an image id that two different entries of `images` have. A task holds only the
    image entries of its own split in memory, even if the file has many more.
    """

    version: ClassVar[int] = 3
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

    def count(self, split: Split, context: Context) -> Count:
        """The number of annotations in a split, which is a range of the array `annotations`; for
        the first split, also the number of entries in `images`."""
        place = context.media.resolve(split.files[0].uri)
        return count_array(place, split, "annotations", of_all="images")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        ranges, faults = find_arrays(place, ("images", "annotations"))
        array = ranges.get("annotations")
        ids = SplitIds.of_nothing() if array is None else read_ids(place, array, split)
        images = CocoImages(root_of(self.media_root, file, context.base), context.media)
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults, units=0)
        if "images" in ranges:
            entries = images.read(place, ranges["images"], ids)
            if split.first == 0:
                yield _of_entries(batch_of_failures(self, file, entries.faults), entries)
        if array is not None:
            groups = element_groups(place, *split[1:], context.limits.max_row_bytes)
            for batch in batches(groups):
                annotations = zip(batch, as_objects(batch), strict=True)
                rows = [_row(element.number, one, ids, images) for element, one in annotations]
                yield batch_of_rows(self, file, rows)


def _of_entries(failures: ReadBatch, entries: Entries) -> ReadBatch:
    """Adds the numbers of entries of the array `images` to the batch `failures`: entries with
    annotations as used, and entries without annotations as left aside (neither records nor errors).
    """
    left_aside = {"image without annotations": entries.unused} if entries.unused else {}
    return failures._replace(left_aside=left_aside, units=entries.read - entries.unused)


def _row(
    number: int, annotation: dict[str, Any] | RowError, ids: SplitIds, images: CocoImages
) -> CaptionRow:
    """Makes the caption row of `annotation`, the element `number` of the array `annotations`. `ids`
    has how often each annotation id occurs in the file. If the annotation or its image is faulty,
    the row has the error instead."""
    within = f"annotations[{number}]"
    if isinstance(annotation, RowError):
        return CaptionRow(within, annotation)
    try:
        key, image_id = id_field(annotation, "id"), id_field(annotation, "image_id")
        if (count := ids.pair_count[key, image_id]) > 1:
            fault = f"{count} annotations of the image {image_id} have the id {key}."
            raise RowError(fault, fix="Give each annotation of an image its own id.")
        within = key if ids.id_count[key] == 1 else f"{image_id}/{key}"
        text = caption_field(annotation, "caption")
        image = images.image(image_id)
    except RowError as error:
        return CaptionRow(within, error)
    fields = {k: v for k, v in annotation.items() if k not in ("id", "caption")}
    fields["image"] = image.fields
    return CaptionRow(within, image.opened, text, to_json(fields))
