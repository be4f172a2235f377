"""What a record shows, in a form that can be compared with what was generated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from manifests.media import Media, Reference


class SeenObject(NamedTuple):
    """An object: its label, its text, and its coordinates in thousandths, rounded to a tenth."""

    label: str | None = None
    text: str | None = None
    box: tuple[float, ...] | None = None
    point: tuple[float, ...] | None = None
    polygon: tuple[tuple[float, ...], ...] | None = None


class Segment(NamedTuple):
    """A text, or the name of an image, and its role."""

    text: str | None = None
    image: str | None = None
    role: str | None = None


class Seen(NamedTuple):
    """A record without its place and `meta`: the segments and the objects, both in order."""

    segments: tuple[Segment, ...]
    objects: tuple[SeenObject, ...] = ()

    @property
    def texts(self) -> list[str]:
        named = [text for one in self.objects for text in (one.label, one.text)]
        return [text for text in (*(s.text for s in self.segments), *named) if text is not None]

    @property
    def images(self) -> list[str]:
        return [segment.image for segment in self.segments if segment.image is not None]


def caption(image: str | None, text: str | None, objects: tuple[SeenObject, ...] = ()) -> Seen:
    """The record of an image with a caption; either may be missing."""
    segments = [Segment(image=image)] if image else []
    return Seen((*segments, *([Segment(text=text)] if text is not None else [])), objects)


def thousandths(values: Any) -> tuple[float, ...]:
    return tuple(round(float(value), 1) + 0.0 for value in values)


def digest(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def seen(row: Mapping[str, Any], media: Media, names: Mapping[str, str]) -> Seen:
    """What a row of a record table shows. `names` has the name of each image, by its digest."""
    images = [_image(medium, media, names) for medium in row["media"]]
    segments = tuple(
        Segment(s["text"], None if s["media"] is None else images[s["media"]], s["role"])
        for s in row["content"]
    )
    return Seen(segments, tuple(_object(one) for one in row["objects"]))


def _image(medium: Mapping[str, Any], media: Media, names: Mapping[str, str]) -> str:
    data = media.read(Reference(medium["uri"], medium["offset"], medium["length"]))
    return names.get(digest(data), "?")


def _object(one: Mapping[str, Any]) -> SeenObject:
    box, point = one["box"], one["point"]
    return SeenObject(
        one["label"],
        one["text"],
        None if box is None else thousandths(box),
        None if point is None else thousandths(point),
        None if one["polygon"] is None else tuple(thousandths(ring) for ring in one["polygon"]),
    )
