"""Joins COCO's `annotations` to the images of one split, in one pass over the file.

The join uses the ids of images. The ids of the annotations themselves are not used, so several
annotations may have the same id: in merged files, the ids often start again at 1.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_pieces import Element
from curate.ingest.grounding.annotations.grounding_reader import PlacedError
from curate.ingest.reader import Split
from manifests.errors import RowError
from manifests.text.json_values import parse_json

_NAMES = ("file_name", "file_path", "coco_url")


class ImageIds(NamedTuple):
    """The image ids that a task has read.

    `own` are the ids of the images of the task's split. In the first split, `known` are the ids of
    all images of the file; in any other split, `known` equals `own`. Some ids in `known` may belong
    to several images; these ids are the keys of `repeated`, and the values are error texts.
    """

    own: set[str]
    known: set[str]
    repeated: dict[str, str]


class Joined(NamedTuple):
    """The annotations of a split's images, and the errors that the task of this split reports.

    `annotations` has the annotations by image id, in file order and not yet parsed. `broken` has
    the number of annotations that cannot be read, by image id; the key None has the number of
    broken annotations whose image is not known, so that they may belong to any image of the file.
    `elsewhere` is the number of annotations of the images in other splits; only the first split
    counts them.
    """

    annotations: dict[str, list[Element]]
    errors: list[PlacedError]
    broken: Counter[str | None]
    elsewhere: int = 0

    def lost(self, image: str) -> int:
        """Returns the number of annotations that cannot be read and that belong, or may belong, to
        this image."""
        return self.broken[image] + self.broken[None]


def read_image_ids(place: str, images: ByteRange, split: Split) -> ImageIds:
    """Reads the ids of the images of a split. Also reads the whole array `images`, to find ids that
    several images have. Broken images are skipped; the task of the split with a broken image
    reports the error."""
    own = _ids_in(place, *split[1:])
    known = set() if split.first == 0 else own
    seen: set[str] = set()
    repeated: set[str] = set()
    for element in elements(place, *images):
        with contextlib.suppress(RowError):
            key = id_field(as_object(element), "id")
            if split.first == 0:
                known.add(key)
            if key in known:
                (repeated if key in seen else seen).add(key)
    return ImageIds(own, known, _faults(place, images, repeated) if repeated else {})


def image_paths(place: str, images: ByteRange) -> Iterator[str]:
    """Yields the path of each image in the array `images`. Entries that cannot be read are
    skipped."""
    for element in elements(place, *images):
        with contextlib.suppress(RowError):
            if path := _path_in(as_object(element)):
                yield path


def _path_in(image: dict[str, Any]) -> str | None:
    name = next((name for name in _NAMES if image.get(name) is not None), None)
    path = None if name is None else image[name]
    if not isinstance(path, str):
        return None
    return urlsplit(path).path if name == "coco_url" else path


def join(place: str, annotations: ByteRange, split: Split, ids: ImageIds) -> Joined:
    """Finds the annotations of the images in `ids.own`.

    The first split reports errors for all annotations of the file: for each annotation that cannot
    be read, and for each annotation whose `image_id` belongs to no image or to several images.
    """
    is_first = split.first == 0
    joined, elsewhere = Joined({}, [], Counter()), 0
    for element in elements(place, *annotations):
        where = f"annotations[{element.number}]"
        try:
            image = quick_image_id(element.data)
            if is_first or image is None or image in ids.own:
                image = id_field(as_object(element), "image_id")
            if is_first and image in ids.repeated:
                raise RowError(ids.repeated[image])
            if is_first and image not in ids.known:
                raise RowError(
                    f"the annotation's image_id is {image}, but no sound entry of `images` has "
                    "this id"
                )
        except RowError as error:
            joined.errors.extend([(where, error)] if is_first else [])
            joined.broken[image] += 1
            continue
        if image in ids.own and image not in ids.repeated:
            joined.annotations.setdefault(image, []).append(element)
        elif is_first:
            elsewhere += 1
    return joined._replace(elsewhere=elsewhere)


def parsed(element: Element) -> dict[str, Any]:
    """Parses the JSON of an annotation that `join` returned."""
    value: dict[str, Any] = parse_json(element.data)
    return value


_IMAGE_ID = re.compile(rb'"image_id"\s*:\s*(0|[1-9]\d*)\s*[,}]')


def quick_image_id(data: bytes) -> str | None:
    """Returns the image id of an annotation without parsing the annotation; None if the annotation
    must be parsed to find the id.

    `quick_image_id(b'{"id": 1, "image_id": 7}') -> "7"`. The bytes must have a single `{` and no
    escapes; only then is it certain that `image_id` is not a field of a nested object.
    """
    if data.count(b"{") != 1 or b"\\" in data:
        return None
    found = _IMAGE_ID.findall(data)
    return found[0].decode() if len(found) == 1 else None


def _ids_in(place: str, start: int, stop: int, first: int) -> set[str]:
    ids: set[str] = set()
    for element in elements(place, start, stop, first):
        with contextlib.suppress(RowError):
            ids.add(id_field(as_object(element), "id"))
    return ids


def _faults(place: str, images: ByteRange, repeated: set[str]) -> dict[str, str]:
    """Returns an error text for each id in `repeated`, the ids that several images have. The text
    names the images that have the id."""
    names: dict[str, list[str]] = {}
    for element in elements(place, *images):
        with contextlib.suppress(RowError):
            fields = as_object(element)
            if (key := id_field(fields, "id")) in repeated:
                given = next((fields[name] for name in _NAMES if name in fields), None)
                names.setdefault(key, []).append(str(given or f"images[{element.number}]"))
    return {
        key: f"{len(some)} images have the id {key}: {' and '.join(some[:3])}, so it is not known "
        "which of them an annotation belongs to."
        for key, some in names.items()
    }
