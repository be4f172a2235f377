"""Reads items, such as the questions of a benchmark: their ids, texts, images and embeddings."""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from manifests import storage
from manifests.errors import InputError, MediaError
from manifests.examples.files import ItemFiles, files_of
from manifests.examples.images import ItemImage, ItemMedia
from manifests.media import Limits, Reference
from manifests.storage import File
from manifests.tables import Kind, Row, lines, rows, value

_BASE64_STARTS = ("/9j/", "iVBORw0KGgo", "UklGR", "R0lGOD")
"""The first characters of JPEG, PNG, WebP and GIF files in base64."""


_CHECKED_SIDE = 64
"""The shorter side, in pixels, of an image that is decoded to check it (our choice)."""


class Item(NamedTuple):
    """One item, such as a question of a benchmark. Each of its `images` is either the bytes of an
    image file, or the full path or URL of the file.

    `place` is the file and the row number of the item, for error messages.
    """

    id: str
    texts: list[str]
    images: list[bytes | str]
    embedding: list[float] | None
    place: str


def items_of(given: ItemFiles, place: str) -> Iterator[Item]:
    """Yields the items of all files, in order. `place` is the full path of `given.path`.

    Raises InputError for the first item that is invalid.
    """
    count = 0
    for file, kind in files_of(given, place):
        for item in _in_file(given, file, kind):
            count += 1
            yield item
    if count == 0:
        raise InputError(
            f"{given.what}: there are no items.", place,
            "Correct the path, or remove the setting.",
        )  # fmt: skip


def files_used(given: ItemFiles, place: str) -> Iterator[str]:
    """Yields the paths of the files, then the paths of the image files that their tables name.
    `place` is the full path of `given.path`.

    Raises InputError for the first item that cannot be read.
    """
    yield from (file.uri for file, _ in files_of(given, place))
    for item in items_of(given, place):
        if given.image:
            yield from (source for source in item.images if isinstance(source, str))


def check_images(items: Iterable[Item]) -> Iterator[Item]:
    """Yields the items unchanged; raises InputError for an image that cannot be decoded."""
    for item in items:
        images = [ItemImage(0, source, item.place) for source in item.images]
        with contextlib.closing(ItemMedia(images, Limits(), _CHECKED_SIDE)) as media:
            for number in range(len(images)):
                try:
                    media.image(Reference(str(number)))
                except MediaError as error:
                    raise InputError(
                        f"an image of this item cannot be read: {error.fault}", item.place,
                        "Replace the image, or remove the item.",
                    ) from None  # fmt: skip
        yield item


def _in_file(given: ItemFiles, file: File, kind: Kind) -> Iterator[Item]:
    """Yields the items of one file: an image file is one item, a text file has one item per line,
    and a table has one item per row."""
    if kind is Kind.IMAGE:
        yield Item(file.name, [], [file.uri], None, file.uri)
    elif kind is Kind.LINES:
        for number, line in lines(file):
            yield Item(f"{file.name}#{number}", [line], [], None, f"{file.uri}#{number}")
    else:
        yield from _in_table(given, file, kind)


def _in_table(given: ItemFiles, file: File, kind: Kind) -> Iterator[Item]:
    """Yields the items of a table, one per row. A field may be missing in some rows, but not in all
    rows."""
    named = (*given.text, *given.image, given.embedding, given.id)
    fields = tuple(dict.fromkeys(field for field in named if field))
    missing = set(fields)
    for number, row in rows(file, kind, fields):
        found = {}
        for field in fields:
            try:
                found[field] = value(row, field)
                missing.discard(field)
            except KeyError:
                found[field] = None
        yield _item(given, found, file, number)
    for field in fields:
        if "." in field and field in missing:
            fault = f"no row of the table has the field '{field}'."
            raise InputError(fault, file.uri, "Correct the name in the recipe.")


def _item(given: ItemFiles, row: Row, file: File, number: int) -> Item:
    place = f"{file.uri}#{number}"
    item = Item(
        _id(row, given.id, place) if given.id else f"{file.name}#{number}",
        [text for field in given.text for text in _texts(row[field], field, place)],
        [one for field in given.image for one in _images(row[field], field, file, place)],
        _embedding(row, given.embedding, place) if given.embedding else None,
        place,
    )
    if not (item.texts or item.images or item.embedding):
        fields = " and ".join(f"'{field}'" for field in row if field != given.id)
        raise InputError(
            f"{given.what}: this item is empty in {fields}.", place,
            "Fill in a field, remove the item, or name the field that has the text.",
        )  # fmt: skip
    return item


def _id(row: Row, field: str, place: str) -> str:
    if row[field] is None or isinstance(row[field], list | dict):
        fault = f"the field '{field}' is {row[field]!r:.80}, which is not an id."
        raise InputError(fault, place, "Use text or a number, or remove the setting id.")
    return str(row[field])


def _texts(cell: Any, field: str, place: str) -> Iterator[str]:
    """Yields the texts in a value, which may be a nested list. Numbers and blank texts are left
    out: ["a", ["b"], None, " ", 7] -> "a", "b".

    Raises InputError for an object or bytes.
    """
    if isinstance(cell, list):
        for one in cell:
            yield from _texts(one, field, place)
    elif isinstance(cell, str):
        if cell.strip():
            yield cell
    elif isinstance(cell, dict | bytes):
        inner = f", such as {field}.{next(iter(cell))}" if isinstance(cell, dict) and cell else ""
        raise InputError(
            f"the field '{field}' is {cell!r:.80}, which is not text.",
            place,
            f"Name a field that has text{inner}.",
        )


def _images(cell: Any, field: str, file: File, place: str) -> Iterator[bytes | str]:
    """Yields the images in the value of a table's field, as bytes or as full paths. A list may
    contain several images."""
    if isinstance(cell, list):
        for one in cell:
            yield from _images(one, field, file, place)
    elif isinstance(cell, dict) and (cell.get("bytes") or cell.get("path")):
        yield from _images(cell.get("bytes") or cell["path"], field, file, place)
    elif isinstance(cell, bytes):
        yield cell
    elif isinstance(cell, str) and cell:
        yield _decoded(cell) or storage.resolve(storage.folder_of(file.uri), cell)
    elif cell is not None and cell != "":
        raise InputError(
            f"the field '{field}' is {cell!r:.80}, which is not an image.", place,
            "An image is bytes, base64, a struct of bytes and path, or a path.",
        )  # fmt: skip


def _decoded(text: str) -> bytes | None:
    """Returns the bytes of an image from base64 or a data URL; None if the text is neither of them,
    and so must be a path."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    elif not text.startswith(_BASE64_STARTS):
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return None


def _embedding(row: Row, field: str, place: str) -> list[float] | None:
    cell = row[field]
    if cell is None:
        return None
    numbers = isinstance(cell, list) and all(isinstance(one, int | float) for one in cell)
    if not numbers or not any(cell) or not all(map(math.isfinite, cell)):
        raise InputError(
            f"the field '{field}' is {cell!r:.80}, which is not an embedding.", place,
            "An embedding is a list of finite numbers, not all of them 0.",
        )  # fmt: skip
    return [float(one) for one in cell]
