"""Samples: images with a caption and other fields in files beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from curate.ingest.columns import has_text
from curate.ingest.images import OpenedImage
from curate.ingest.reader import BATCH_ROWS, SPLIT_BYTES
from manifests import record
from manifests.errors import LimitError, MediaError, RowError
from manifests.media.header import SUFFIXES

CAPTION_NAMES = ("txt", "caption", "text")


"""Where a caption is looked for by default: the text beside the image, then the JSON there."""


MAX_SIDECAR_BYTES = 16 << 20


"""Largest text or JSON beside an image (ours): a thousand times the longest real caption."""


class Description(NamedTuple):
    """What sidecars say: the caption, null where there is none, and the other fields as JSON."""

    text: str | None
    meta: str | None


def is_image_suffix(suffix: str) -> bool:
    """Whether a name's ending, such as `jpg` or `0.jpg`, lower case, is that of an image."""
    return suffix in SUFFIXES or suffix.rpartition(".")[2] in SUFFIXES


def check_sidecar(suffix: str, size: int) -> None:
    if size > MAX_SIDECAR_BYTES:
        fault = f"{suffix}: {size} bytes is over the limit of {MAX_SIDECAR_BYTES} beside an image."
        raise LimitError(fault, "", "Leave out what is no caption.")


def with_suffix(suffix: str, error: MediaError) -> MediaError:
    """The error of one image of a sample, saying which."""
    fix = error.fix or "Put an intact image in its place, or leave it in quarantine."
    return type(error)(f"{suffix}: {error.fault}", "", fix)


def describe(sidecars: Mapping[str, bytes | memoryview], wanted: Sequence[str]) -> Description:
    """The caption and the other fields of a sample, from its sidecars by suffix.

    Each of `wanted` is the suffix of a sidecar, or else a field of the `json` one; the first that
    says anything is the caption. Fields that repeat it are left out of the rest.
    """
    fields = _json_fields(sidecars["json"]) if "json" in sidecars else {}
    text = None
    for name in wanted:
        text = (
            _sidecar_text(name, sidecars[name]) if name in sidecars else _field_text(name, fields)
        )
        if text is not None:
            break
    for name in wanted:
        value = fields.get(name)
        if isinstance(value, str) and (text is None or value.strip() == text.strip()):
            del fields[name]
    return Description(text, _to_json(fields) if fields else None)


def _sidecar_text(suffix: str, data: bytes | memoryview) -> str | None:
    """A sidecar's text, without the byte order mark and line ends that belong to the file."""
    try:
        text = str(data, "utf-8").removeprefix("\ufeff").strip()
    except UnicodeDecodeError as error:
        fault = f"{suffix}: byte {error.start} is {data[error.start]:#04x}: no UTF-8."
        raise RowError(fault, "", "Convert the caption to UTF-8.") from None
    return text or None


def _field_text(name: str, fields: dict[str, Any]) -> str | None:
    """A field's text; of a list of texts, the first counts."""
    value = fields.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    if value is not None and not isinstance(value, str):
        fault = f"json: field {name!r} is {_to_json(value)[:40]}, not text."
        raise RowError(fault, "", "Name another field in the setting 'caption'.")
    return value if has_text(value) else None


def _json_fields(data: bytes | memoryview) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError as error:
        found = _parse_loosely(data, error)
    if not isinstance(found, dict):
        fault = f"json: {_to_json(found)[:40]} is no object."
        raise RowError(fault, "", "Write one object of fields for each sample.")
    return found


def _to_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # more levels than orjson writes
        raise RowError(f"json: cannot be kept: {error}.", "", "Write it flatter.") from None


def _parse_loosely(data: bytes | memoryview, strict: ValueError) -> Any:
    """JSON as Python writes it, with NaN (which becomes null), or after a byte order mark."""
    try:
        return orjson.loads(orjson.dumps(json.loads(bytes(data))))
    except (ValueError, TypeError, RecursionError):
        raise RowError(f"json: does not parse: {strict}.", "", "Repair it.") from None


class Samples:
    """Samples gathered into a batch: in columns where each has one image, else row by row."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: list[str] = []
        self._origins: list[str] = []
        self._said: list[Description] = []
        self._images: list[list[OpenedImage]] = []
        self._characters = 0

    def add(self, key: str, origin: str, said: Description, images: list[OpenedImage]) -> None:
        self._keys.append(key)
        self._origins.append(origin)
        self._said.append(said)
        self._images.append(images)
        self._characters += len(said.text or "") + len(said.meta or "")

    @property
    def is_full(self) -> bool:
        return len(self._keys) >= BATCH_ROWS or self._characters >= SPLIT_BYTES

    def records(self) -> pa.Table:
        if all(len(images) == 1 for images in self._images):
            return self._columns()
        return record.from_rows(self._rows(), self._source, "caption")

    def _columns(self) -> pa.Table:
        places = [image.reference for [image] in self._images]
        headers = [image.header for [image] in self._images]
        images = record.ImageColumns(
            uri=pa.array([place.uri for place in places], pa.string()),
            offset=pa.array([place.offset for place in places], pa.int64()),
            length=pa.array([place.length for place in places], pa.int64()),
            mime=pa.array([header.mime for header in headers], pa.string()),
            width=pa.array([header.width for header in headers], pa.int32()),
            height=pa.array([header.height for header in headers], pa.int32()),
        )
        origins = pa.array(self._origins, pa.string())
        texts = pa.array([said.text for said in self._said], pa.string())
        meta = pa.array([said.meta for said in self._said], pa.string())
        return record.captions(self._source, self._keys, origins, texts, images, meta)

    def _rows(self) -> list[dict[str, Any]]:
        columns = zip(self._keys, self._origins, self._said, self._images, strict=True)
        return [
            {
                "key": key,
                "origin": origin,
                "content": _content(said.text, len(images)),
                "media": [
                    {"kind": "image", **image.reference._asdict(), **image.header._asdict()}
                    for image in images
                ],
                "meta": said.meta,
            }
            for key, origin, said, images in columns
        ]


def _content(text: str | None, count: int) -> list[dict[str, Any]]:
    images = [{"kind": "image", "media": number, "loss": False} for number in range(count)]
    return images if text is None else [*images, {"kind": "text", "text": text, "loss": True}]
