"""The images of a COCO file to which the captions of one split refer. A split is the range of the
file that one task reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from curate.ingest.formats.coco_ids import SplitIds
from curate.ingest.formats.json_elements import ByteRange, batches, element_groups
from curate.ingest.formats.json_fields import as_objects, id_field, text_field
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import open_below
from manifests.errors import RowError
from manifests.media import Media
from manifests.text.json_values import dump_json


class _Entry(NamedTuple):
    """An entry of the array `images`: its file name, and its other fields as JSON."""

    file_name: str
    fields: bytes


class Entries(NamedTuple):
    """What was found in the array `images`. `faults` has the errors with their places, such as
    `images[3]`; `read` is the number of entries that could be read, and `unused` the number of
    these entries that have no annotation."""

    faults: list[tuple[str, RowError]]
    read: int
    unused: int


class CocoImage(NamedTuple):
    """An image of a COCO file. `opened` is the image, or the error if it could not be opened.
    `fields` has the other fields of its entry in `images`, as JSON."""

    opened: OpenedImage | RowError
    fields: orjson.Fragment


class CocoImages:
    """The entries of the COCO array `images`, by id. Each image file is opened once, on first
    use."""

    def __init__(self, root: str, media: Media) -> None:
        self._root, self._media = root, media
        self._entries: dict[str, _Entry | RowError] = {}
        self._opened: dict[str, CocoImage] = {}

    def read(self, place: str, array: ByteRange, ids: SplitIds) -> Entries:
        """Reads the array `images` of the file `place`, at the byte range `array`, and keeps the
        entries whose ids are in `ids.images`. Returns the errors, the number of entries that were
        read, and the number of these entries that have no annotation."""
        read = unused = 0
        faults = []
        for batch in batches(element_groups(place, *array)):
            for element, image in zip(batch, as_objects(batch), strict=True):
                try:
                    key = self._add(image, ids.images)
                    read, unused = read + 1, unused + (key not in ids.used)
                except RowError as error:
                    faults.append((f"images[{element.number}]", error))
        return Entries(faults, read, unused)

    def _add(self, image: dict[str, Any] | RowError, ids: set[str]) -> str:
        """Keeps the entry `image` of the array `images` if its id is in `ids`, and returns its id.
        Raises RowError if the entry is broken."""
        if isinstance(image, RowError):
            raise image
        key, file_name = id_field(image, "id"), text_field(image, "file_name")
        if key not in ids:
            return key
        other = self._entries.get(key)
        fields = {k: v for k, v in image.items() if k not in ("id", "file_name")}
        entry = _Entry(file_name, dump_json(fields).encode())
        if isinstance(other, _Entry) and other != entry:
            fault = f"two images have the id {key}: {other.file_name} and {file_name}"
            if other.file_name == file_name:
                fault = (
                    f"`images` has two different entries with the id {key} for the file {file_name}"
                )
            self._entries[key] = RowError(
                fault, fix="Write one entry for each image, with an id that no other image has."
            )
        elif other is None:
            self._entries[key] = entry
        return key

    def image(self, key: str) -> CocoImage:
        """Returns the image with the id `key`. Raises RowError if no entry that can be read has the
        id, or if two different entries have the id."""
        if key not in self._opened:
            entry = self._entries.get(key)
            if entry is None:
                raise RowError(
                    f"the annotation's image_id is {key}, but no sound entry of `images` has "
                    "this id"
                )
            if isinstance(entry, RowError):
                raise entry
            opened = open_below(self._root, entry.file_name, self._media)
            self._opened[key] = CocoImage(opened, orjson.Fragment(entry.fields))
        return self._opened[key]
