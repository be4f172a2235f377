"""The images of a record, with what the record says of them drawn over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curate.inspect.drawing.annotated_image import drawn, upright
from manifests.media import Media, Reference

if TYPE_CHECKING:
    from PIL.Image import Image


def images_of(row: dict[str, Any]) -> list[int]:
    """Which of a record's media are images."""
    return [n for n, medium in enumerate(row["media"]) if medium["kind"] == "image"]


def with_drawings(row: dict[str, Any], number: int, media: Media) -> Image:
    """An image of a record with its objects. Raises MediaError where it cannot be opened."""
    medium = row["media"][number]
    reference = Reference(medium["uri"], medium["offset"], medium["length"])
    turn = medium["orientation"] or media.orientation(reference)
    image = upright(media.image(reference), turn)
    media.forget()
    return drawn(image, list(_things(row, number)), medium["camera"])


def _things(row: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """The objects on an image; one that names none is on the only one there is."""
    only = 0 if len(row["media"]) == 1 else None
    for thing in row["objects"]:
        if (only if thing["media"] is None else thing["media"]) == number:
            yield thing
