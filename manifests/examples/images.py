"""Reads the images of items: files, or bytes from a table."""

from __future__ import annotations

from typing import NamedTuple

from manifests.media import Limits, Media, Reference


class ItemImage(NamedTuple):
    """An image of the item with the number `item`. `source` is the bytes of the image, or the path
    or URL of its file.

    `place` is the file and row of the item, for error messages.
    """

    item: int
    source: bytes | str
    place: str


class ItemMedia(Media):
    """Reads the images of items. The uri of an image is its position in the list `images`, as text.
    `side` is the length in pixels that the shorter side of a decoded image must have."""

    def __init__(self, images: list[ItemImage], limits: Limits, side: int | None) -> None:
        super().__init__(limits=limits, side=side)
        self._item_images = images

    def read(self, ref: Reference) -> bytes:
        source = self._item_images[int(ref.uri)].source
        return source if isinstance(source, bytes) else super().read(Reference(source))
