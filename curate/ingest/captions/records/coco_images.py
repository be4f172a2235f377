"""The images of a COCO file that the captions of one split refer to."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field, text_field
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import open_below
from manifests.errors import RowError
from manifests.media import Media


class _Image(NamedTuple):
    """An entry of `images`: its file, and its other fields as JSON."""

    file_name: str
    rest: orjson.Fragment


class _Opened(NamedTuple):
    opened: OpenedImage | RowError
    rest: orjson.Fragment


class CocoImages:
    """The images that the captions of one split are about; each is opened once."""

    def __init__(self, root: str, media: Media) -> None:
        self._root, self._media = root, media
        self._images: dict[int | str, _Image | RowError] = {}
        self._opened: dict[int | str, _Opened] = {}

    def take(self, place: str, array: ByteRange, wanted: set[str]) -> list[tuple[str, RowError]]:
        """Read the entries of `images` with the wanted ids; returns the broken entries: where they
        are (`images[3]`) and the error."""
        faults = []
        for element in elements(place, *array):
            try:
                self._take(as_object(element), wanted)
            except RowError as error:
                faults.append((f"images[{element.number}]", error))
        return faults

    def _take(self, image: dict[str, Any], wanted: set[str]) -> None:
        key, file_name = id_field(image, "id"), text_field(image, "file_name")
        if key not in wanted:
            return
        other = self._images.get(key)
        if isinstance(other, _Image) and other.file_name != file_name:
            fault = f"two images have the id {key}: {other.file_name} and {file_name}"
            self._images[key] = RowError(fault)
        elif other is None:
            rest = {k: v for k, v in image.items() if k not in ("id", "file_name")}
            self._images[key] = _Image(file_name, orjson.Fragment(orjson.dumps(rest)))

    def image(self, key: str) -> _Opened:
        """The opened image of that id. Raises RowError where there is none, or there are two."""
        if key not in self._opened:
            image = self._images.get(key)
            if image is None:
                raise RowError(f"no image has the id {key}")
            if isinstance(image, RowError):
                raise image
            opened = open_below(self._root, image.file_name, self._media)
            self._opened[key] = _Opened(opened, image.rest)
        return self._opened[key]
