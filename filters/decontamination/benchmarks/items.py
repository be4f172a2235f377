"""The items of a benchmark: their ids, texts, images and embeddings, as the files have them."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from filters.decontamination.benchmarks.benchmark import Benchmark, Kind, files_of
from filters.decontamination.benchmarks.tables import Row, lines, rows, value
from manifests import storage
from manifests.errors import InputError
from manifests.storage import File

_ENCODED = ("/9j/", "iVBORw0KGgo", "UklGR", "R0lGOD")
"""How the base64 of JPEG, PNG, WebP and GIF starts."""


class Item(NamedTuple):
    """One item. `images` are bytes, or the full path or URL of a file. `place` is for people."""

    id: str
    texts: list[str]
    images: list[bytes | str]
    embedding: list[float] | None
    place: str


def items_of(benchmark: Benchmark, place: str) -> Iterator[Item]:
    """The items of all files, in order. `place`: the full form of the benchmark's path.

    Raises InputError for the first that cannot be compared, naming it, its fault and the fix.
    """
    count = 0
    for file, kind in files_of(benchmark, place):
        for item in _in_file(benchmark, file, kind):
            count += 1
            yield item
    if count == 0:
        raise InputError(f"benchmark '{benchmark.name}' has no items.", place)


def _in_file(benchmark: Benchmark, file: File, kind: Kind) -> Iterator[Item]:
    if kind is Kind.IMAGE:
        yield Item(file.name, [], [file.uri], None, file.uri)
    elif kind is Kind.LINES:
        for number, line in lines(file):
            yield Item(f"{file.name}#{number}", [line], [], None, f"{file.uri}#{number}")
    else:
        yield from _in_table(benchmark, file, kind)


def _in_table(benchmark: Benchmark, file: File, kind: Kind) -> Iterator[Item]:
    named = (*benchmark.text, *benchmark.image, benchmark.embedding, benchmark.id)
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
        yield _item(benchmark, found, file, number)
    for field in fields:
        if "." in field and field in missing:
            raise InputError(f"no row has the field '{field}'.", file.uri)


def _item(benchmark: Benchmark, row: Row, file: File, number: int) -> Item:
    place = f"{file.uri}#{number}"
    item = Item(
        _id(row, benchmark.id, place) if benchmark.id else f"{file.name}#{number}",
        [text for field in benchmark.text for text in _texts(row[field], field, place)],
        [one for field in benchmark.image for one in _images(row[field], field, file, place)],
        _embedding(row, benchmark.embedding, place) if benchmark.embedding else None,
        place,
    )
    if not (item.texts or item.images or item.embedding):
        said = " or ".join(f"'{field}'" for field in row if field != benchmark.id)
        raise InputError(
            f"benchmark '{benchmark.name}': an item without anything in {said}.", place,
            "Fill it, take it out, or name the field that has its text.",
        )  # fmt: skip
    return item


def _id(row: Row, field: str, place: str) -> str:
    if row[field] is None or isinstance(row[field], list | dict):
        raise InputError(f"'{field}' is {row[field]!r:.80}, which is no id.", place)
    return str(row[field])


def _texts(said: Any, field: str, place: str) -> Iterator[str]:
    """The texts of a value, those of lists one by one; nothing of null, blanks and numbers."""
    if isinstance(said, list):
        for one in said:
            yield from _texts(one, field, place)
    elif isinstance(said, str):
        if said.strip():
            yield said
    elif isinstance(said, dict | bytes):
        inner = f", such as {field}.{next(iter(said))}" if isinstance(said, dict) and said else ""
        raise InputError(
            f"'{field}' is {said!r:.80}, which is no text.", place, f"Name a field of text{inner}."
        )


def _images(said: Any, field: str, file: File, place: str) -> Iterator[bytes | str]:
    if isinstance(said, list):
        for one in said:
            yield from _images(one, field, file, place)
    elif isinstance(said, dict) and (said.get("bytes") or said.get("path")):
        yield from _images(said.get("bytes") or said["path"], field, file, place)
    elif isinstance(said, bytes):
        yield said
    elif isinstance(said, str) and said:
        yield _decoded(said) or storage.resolve(_folder(file.uri), said)
    elif said is not None and said != "":
        raise InputError(
            f"'{field}' is {said!r:.80}, which is no image.", place,
            "It takes bytes, base64, a struct of bytes and path, or a path.",
        )  # fmt: skip


def _decoded(text: str) -> bytes | None:
    """The bytes of an image in base64, or in a URL that holds it; None where it is a path."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    elif not text.startswith(_ENCODED):
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return None


def _folder(uri: str) -> str:
    """The folder of a file, as a path or URL."""
    path, mark, query = uri.partition("?") if storage.is_remote(uri) else (uri, "", "")
    return path.rpartition("/")[0] + mark + query


def _embedding(row: Row, field: str, place: str) -> list[float] | None:
    said = row[field]
    if said is None:
        return None
    numbers = isinstance(said, list) and all(isinstance(one, int | float) for one in said)
    if not numbers or not any(said) or not all(map(math.isfinite, said)):
        raise InputError(
            f"'{field}' is {said!r:.80}, which is no embedding.", place,
            "It takes a list of finite numbers, not all of them 0.",
        )  # fmt: skip
    return [float(one) for one in said]
