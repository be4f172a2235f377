"""The pictures of a record, with what the record says of them drawn over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curate.inspect.drawing.annotated_image import drawn, upright
from manifests.media import Media, Reference

if TYPE_CHECKING:
    from PIL.Image import Image


def images_of(row: dict[str, Any]) -> list[int]:
    """Which of a record's media are pictures."""
    return [n for n, medium in enumerate(row["media"]) if medium["kind"] == "image"]


def with_drawings(row: dict[str, Any], number: int, media: Media) -> Image:
    """A picture of a record with its objects. Raises MediaError where it cannot be opened."""
    medium = row["media"][number]
    reference = Reference(medium["uri"], medium["offset"], medium["length"])
    turn = medium["orientation"] or media.orientation(reference)
    picture = upright(media.picture(reference), turn)
    media.forget()
    return drawn(picture, list(_things(row, number)), medium["camera"])


def _things(row: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """The objects on a picture; one that names none is on the only one there is."""
    only = 0 if len(row["media"]) == 1 else None
    for thing in row["objects"]:
        if (only if thing["media"] is None else thing["media"]) == number:
            yield thing
