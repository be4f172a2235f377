"""Reads the files beside an image that describe it: `NAME.txt` with a caption, `NAME.json` with
fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from curate.ingest.columns import first_item, has_text
from manifests.errors import LimitError, MediaError, RowError
from manifests.media import Limits
from manifests.media.header import SUFFIXES
from manifests.text.json_values import dump_json, error_in, parse_json

CAPTION_NAMES = ("txt", "caption", "text")
"""The default places of a caption: the file `NAME.txt`, then two fields of `NAME.json`."""


class Description(NamedTuple):
    """What the text and JSON files beside an image contain: the caption, and the other fields as
    JSON. Each may be None."""

    text: str | None
    meta: str | None


def is_image_suffix(suffix: str) -> bool:
    """Whether a lower-case suffix, such as `jpg` or `0.jpg`, is the suffix of an image file."""
    return suffix in SUFFIXES or suffix.rpartition(".")[2] in SUFFIXES


def check_sidecar_size(suffix: str, size_bytes: int, limits: Limits) -> None:
    if size_bytes > limits.max_sidecar_bytes:
        raise LimitError(
            f".{suffix} file: {size_bytes} bytes is over the limit of {limits.max_sidecar_bytes} "
            "bytes for a text or JSON file beside an image.",
            "",
            "The file should contain only the caption and its fields: shorten the file, or raise "
            "media.max_sidecar_bytes.",
        )


def with_suffix(suffix: str, error: MediaError) -> MediaError:
    """Returns the same error with the suffix of the image before its message (`.jpg file: ...`),
    because a sample may have several images."""
    fix = error.fix or "Put an intact image in its place, or leave it in quarantine."
    return type(error)(f".{suffix} file: {error.fault}", "", fix)


def describe(sidecars: Mapping[str, bytes | memoryview], names: Sequence[str]) -> Description:
    """Returns the caption and the other fields of a sample. `sidecars` has the bytes of each file
    beside the image, by suffix.

    Each of `names` is first the suffix of a file. If there is no such file, or the file is blank,
    the name is that of a field of the `json` file. The first text that is not blank is the caption.
    The other fields are the fields of the `json` file. Of the fields whose names are in `names`,
    two kinds are left out: a field whose text equals the caption and, if there is no caption, a
    field whose text is blank. Raises RowError if a text is not UTF-8, if the JSON is not one
    object, or if a field in which the caption is searched for is not text, null or a list of texts.

        {"json": b'{"caption": "A cat.", "w": 640}'}, ["txt", "caption"] ->
        Description("A cat.", '{"w":640}')
    """
    fields = json_fields(sidecars["json"]) if "json" in sidecars else {}
    text = None
    for name in names:
        text = _sidecar_text(name, sidecars[name]) if name in sidecars else None
        text = text or _field(name, fields)
        if text is not None:
            break
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip() == (text or "").strip():
            del fields[name]
    return Description(text, dump_json(fields) if fields else None)


def _sidecar_text(suffix: str, data: bytes | memoryview) -> str | None:
    """Returns the text of a file, without surrounding whitespace and byte order mark; None if the
    text is blank."""
    try:
        text = str(data, "utf-8").removeprefix("\ufeff").strip()
    except UnicodeDecodeError as error:
        raise RowError(
            f".{suffix} file: byte {error.start} is {data[error.start]:#04x}, which is not UTF-8.",
            "",
            "Convert the caption to UTF-8.",
        ) from None
    return text or None


def _field(name: str, fields: dict[str, Any]) -> str | None:
    """Returns the text of a field; for a list, its first element that is not blank. None if the
    text is blank. Raises RowError if the value is not text."""
    value = fields.get(name)
    if isinstance(value, list):
        value = first_item(value)
    if value is not None and not isinstance(value, str):
        raise RowError(
            f".json file: the field {name!r} is {dump_json(value)[:40]}, not text.",
            "",
            "Name another field in the setting 'caption'.",
        )
    return value if has_text(value) else None


def json_fields(data: bytes | memoryview) -> dict[str, Any]:
    """Returns the fields of a JSON file beside an image. Raises RowError if the content is not one
    JSON object."""
    try:
        value = parse_json(data)
    except RowError as error:
        raise error_in(".json file", error) from None
    if not isinstance(value, dict):
        raise RowError(
            f".json file: the content is {dump_json(value)[:40]}, not a JSON object.",
            "",
            "Write one JSON object for each sample.",
        )
    return value
