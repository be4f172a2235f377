"""Joins COCO's `annotations` to the images of one split, in one pass over the file."""

from __future__ import annotations

import contextlib
import re
from array import array
from typing import Any, NamedTuple

import numpy as np
import orjson

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field, text_field
from curate.ingest.formats.json_pieces import Element
from curate.ingest.grounding.annotations.grounding_reader import PlacedError
from curate.ingest.reader import Split
from manifests.errors import RowError


class Joined(NamedTuple):
    """The annotations of a split's images, by image id, in file order and not yet parsed; and the
    errors that the task of this split reports."""

    annotations: dict[str, list[Element]]
    errors: list[PlacedError]


def image_ids(place: str, start: int, stop: int = -1, first: int = 0) -> set[str]:
    """The ids of the images in a byte range of the file. Broken images are skipped; `read` reports
    their errors."""
    ids: set[str] = set()
    for element in elements(place, start, stop, first):
        with contextlib.suppress(RowError):
            ids.add(id_field(as_object(element), "id"))
    return ids


def category_names(place: str, categories: ByteRange) -> tuple[dict[str, str], list[PlacedError]]:
    """Returns the category names by id, and the errors: for categories without a name, and for two
    names with the same id."""
    names: dict[str, str] = {}
    errors: list[PlacedError] = []
    for element in elements(place, *categories):
        try:
            category = as_object(element)
            key, name = id_field(category, "id"), text_field(category, "name")
            if names.setdefault(key, name) != name:
                raise RowError(f"two categories have the id {key}: {names[key]} and {name}")
        except RowError as error:
            errors.append((f"categories[{element.number}]", error))
    return names, errors


def join(place: str, arrays: dict[str, ByteRange], split: Split, own: set[str]) -> Joined:
    """Finds the annotations of the images whose ids are in `own`.

    If several annotations have the same id, the first in the file is used and the others become
    errors. If the image of an annotation does not exist, the first split reports the error.
    """
    is_first = split.first == 0
    is_only = is_first and split.stop == arrays["images"].stop
    every = image_ids(place, *arrays["images"]) if is_first and not is_only else own
    joined = Joined({}, [])
    mine: list[tuple[str, Element]] = []
    hashes = array("q")  # all ids, 8 bytes per annotation; a set would take 100
    for element in elements(place, *arrays["annotations"]):
        where = f"annotations[{element.number}]"
        try:
            key, image = _ids(element) if is_first else _ids_if_own(element, own)
        except RowError as error:
            hashes.append(hash(where))
            joined.errors.extend([(where, error)] if is_first else [])
            continue
        hashes.append(hash(key))
        if image in own:
            mine.append((image, element))
        elif is_first and image not in every:
            joined.errors.append((where, RowError(f"no image has the id {image}")))
    firsts = _first_of_repeated(hashes)
    for image, element in mine:
        if firsts.get(hashes[element.number], element.number) == element.number:
            joined.annotations.setdefault(image, []).append(element)
        else:
            repeated = RowError(f"another annotation has the id {_ids(element)[0]}")
            joined.errors.append((f"annotations[{element.number}]", repeated))
    return joined


def parsed(element: Element) -> dict[str, Any]:
    """Parses the JSON of an annotation that `join` returned."""
    value: dict[str, Any] = orjson.loads(element.data)
    return value


_ID, _IMAGE_ID = (re.compile(rb'"%s"\s*:\s*(\d+)\s*[,}]' % name) for name in (b"id", b"image_id"))


def _ids(element: Element) -> tuple[str, str]:
    """The id of an annotation, and the id of the image to which it belongs."""
    annotation = as_object(element)
    return id_field(annotation, "id"), id_field(annotation, "image_id")


def _ids_if_own(element: Element, own: set[str]) -> tuple[str, str]:
    """Like `_ids`, but does not parse an annotation if its bytes show that its image is not in
    `own`.

    An error in such an annotation is not detected here; the task of the first split parses all
    annotations.
    """
    ids, images = _ID.findall(element.data), _IMAGE_ID.findall(element.data)
    if len(ids) == len(images) == 1 and (image := images[0].decode()) not in own:
        return ids[0].decode(), image
    return _ids(element)


def _first_of_repeated(hashes: array[int]) -> dict[int, int]:
    """Maps each value that occurs more than once to the position of its first occurrence.

    `_first_of_repeated([7, 5, 8, 5]) -> {5: 1}`
    """
    values = np.frombuffer(hashes, np.int64)
    ordered = np.sort(values)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return {}
    places = np.flatnonzero(np.isin(values, repeated))[::-1]  # the first one wins
    return dict(zip(values[places].tolist(), places.tolist(), strict=True))
