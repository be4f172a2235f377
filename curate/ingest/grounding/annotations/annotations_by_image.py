"""COCO's `annotations` joined to the images of one split, in one pass over the file."""

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
from curate.ingest.reader import Split
from manifests.errors import RowError

Fault = tuple[str, RowError]
"""A place in the file, and why nothing became of what is there."""


class Joined(NamedTuple):
    """The annotations of a split's images, by the id of their image, in the order of the file and
    not yet parsed; and the faults that this split answers for."""

    annotations: dict[str, list[Element]]
    broken: list[Fault]


def image_ids(place: str, start: int, stop: int = -1, first: int = 0) -> set[str]:
    """The ids that the images of a stretch have; broken ones are answered when they are read."""
    found: set[str] = set()
    for element in elements(place, start, stop, first):
        with contextlib.suppress(RowError):
            found.add(id_field(as_object(element), "id"))
    return found


def names_by_id(place: str, categories: ByteRange) -> tuple[dict[str, str], list[Fault]]:
    """The names of `categories`; those without one, or with an id that another has, are faults."""
    names: dict[str, str] = {}
    broken: list[Fault] = []
    for element in elements(place, *categories):
        try:
            category = as_object(element)
            key, name = id_field(category, "id"), text_field(category, "name")
            if names.setdefault(key, name) != name:
                raise RowError(f"two categories have the id {key}: {names[key]} and {name}")
        except RowError as error:
            broken.append((f"categories[{element.number}]", error))
    return names, broken


def join(place: str, arrays: dict[str, ByteRange], split: Split, own: set[str]) -> Joined:
    """The annotations of the images `own`.

    The split that the file starts with answers for those that belong to no image of the file. Of
    an id that comes twice, the first annotation counts, wherever it lies.
    """
    is_first = split.first == 0
    is_alone = is_first and split.stop == arrays["images"].stop
    every = image_ids(place, *arrays["images"]) if is_first and not is_alone else own
    found = Joined({}, [])
    mine: list[tuple[str, Element]] = []
    hashes = array("q")  # of all ids: 8 bytes an annotation, where a set would hold 100
    for element in elements(place, *arrays["annotations"]):
        where = f"annotations[{element.number}]"
        try:
            key, image = _ids(element) if is_first else _ids_of_another(element, own)
        except RowError as error:
            hashes.append(hash(where))
            found.broken.extend([(where, error)] if is_first else [])
            continue
        hashes.append(hash(key))
        if image in own:
            mine.append((image, element))
        elif is_first and image not in every:
            found.broken.append((where, RowError(f"no image has the id {image}")))
    firsts = _firsts(hashes)
    for image, element in mine:
        if firsts.get(hashes[element.number], element.number) == element.number:
            found.annotations.setdefault(image, []).append(element)
        else:
            again = RowError(f"the id {_ids(element)[0]} comes a second time")
            found.broken.append((f"annotations[{element.number}]", again))
    return found


_ID, _IMAGE_ID = (re.compile(rb'"%s"\s*:\s*(\d+)\s*[,}]' % name) for name in (b"id", b"image_id"))


def _ids_of_another(element: Element, own: set[str]) -> tuple[str, str]:
    """`_ids`, found without parsing where the annotation is of an image that is not in `own`.

    What is wrong with such an annotation is answered by the first split, which parses them all.
    """
    ids, images = _ID.findall(element.data), _IMAGE_ID.findall(element.data)
    if len(ids) == len(images) == 1 and (image := images[0].decode()) not in own:
        return ids[0].decode(), image
    return _ids(element)


def _ids(element: Element) -> tuple[str, str]:
    annotation = as_object(element)
    return id_field(annotation, "id"), id_field(annotation, "image_id")


def _firsts(hashes: array[int]) -> dict[int, int]:
    """The place of the first of those values that come more than once."""
    values = np.frombuffer(hashes, np.int64)
    ordered = np.sort(values)
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(again):
        return {}
    places = np.flatnonzero(np.isin(values, again))[::-1]  # backwards: the first one stays
    return dict(zip(values[places].tolist(), places.tolist(), strict=True))


def parsed(element: Element) -> dict[str, Any]:
    """An annotation that `join` has looked at."""
    value: dict[str, Any] = orjson.loads(element.data)
    return value
