"""Draws the images of a record with the objects of the record on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from curate.inspect.drawing.annotated_image import draw_objects, image_as_shown
from manifests.media import Media, Reference

if TYPE_CHECKING:
    from PIL.Image import Image


def image_numbers(row: dict[str, Any]) -> list[int]:
    """Return the indices of the images among a record's media; [] if the row has no column
    `media`."""
    return [n for n, medium in enumerate(row.get("media", ())) if medium["kind"] == "image"]


def annotated_image(row: dict[str, Any], number: int, media: Media) -> Image:
    """Draw image `number` of a record with the objects on the image. Raises MediaError if the image
    cannot be opened."""
    medium = row["media"][number]
    image = opened_image(medium, media)
    return draw_objects(image, list(_objects_on(row, number)), medium["camera"])


def opened_image(medium: dict[str, Any], media: Media) -> Image:
    """Open an image as it is shown, with its orientation applied. `medium` is the entry of the
    image in the column `media`. Raises MediaError if the image cannot be opened."""
    reference = Reference(medium["uri"], medium["offset"], medium["length"])
    try:
        orientation = medium["orientation"] or media.orientation(reference)
        return image_as_shown(media.image(reference), orientation)
    finally:
        media.forget()


def _objects_on(row: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Yield the objects on image `number`. An object without a `media` index belongs to the only
    image or video of its record."""
    only = 0 if len(row["media"]) == 1 else None
    for one in row["objects"]:
        if (only if one["media"] is None else one["media"]) == number:
            yield one
