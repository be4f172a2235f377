"""COCO's two arrays joined: the annotations of a split, and the images that they are about."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import orjson

from curate.ingest.formats.json_captions import Row, object_of, text_of
from curate.ingest.formats.json_elements import Stretch, elements
from curate.ingest.images import OpenedImage
from curate.ingest.media_folder import opened_below
from curate.ingest.reader import Split
from manifests.errors import RowError
from manifests.media import Media


class Wanted(NamedTuple):
    """The ids of a split's annotations, and those of the images that they are about."""

    ids: set[str]
    images: set[str]


def wanted_by(place: str, split: Split) -> Wanted:
    wanted = Wanted(set(), set())
    for element in elements(place, *split[1:]):
        with contextlib.suppress(RowError):  # it is answered when the element is read
            annotation = object_of(element)
            wanted.ids.add(id_of(annotation, "id"))
            wanted.images.add(id_of(annotation, "image_id"))
    return wanted


def seen_before(place: str, array: Stretch, split: Split, ids: set[str]) -> set[str]:
    """Those of a split's ids that an annotation before the split has too."""
    seen: set[str] = set()
    if split.first:
        for element in elements(place, array.start, split.start):
            with contextlib.suppress(RowError):  # answered by the split that it lies in
                if (key := id_of(object_of(element), "id")) in ids:
                    seen.add(key)
    return seen


def id_of(holder: dict[str, Any], name: str) -> str:
    """An id as text: 5 and "5" are one id."""
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise RowError(f"{name!r} is {value!r:.80}: neither a whole number nor text")
    return str(value)


class _Image(NamedTuple):
    """An entry of `images`: its file, and its other fields as JSON."""

    file_name: str
    rest: orjson.Fragment


class _Opened(NamedTuple):
    opened: OpenedImage | RowError
    rest: orjson.Fragment


class Album:
    """The images that the captions of one split are about; each is opened once."""

    def __init__(self, root: str, media: Media) -> None:
        self._root, self._media = root, media
        self._images: dict[int | str, _Image | RowError] = {}
        self._opened: dict[int | str, _Opened] = {}

    def take(self, place: str, array: Stretch, wanted: set[str]) -> list[Row]:
        """Look through `images` for the wanted ones; what is broken comes back as failed rows."""
        broken = []
        for element in elements(place, *array):
            try:
                self._take(object_of(element), wanted)
            except RowError as error:
                broken.append(Row(f"images[{element.number}]", error))
        return broken

    def _take(self, image: dict[str, Any], wanted: set[str]) -> None:
        key, file_name = id_of(image, "id"), text_of(image, "file_name")
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
            opened = opened_below(self._root, image.file_name, self._media)
            self._opened[key] = _Opened(opened, image.rest)
        return self._opened[key]
