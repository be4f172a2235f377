"""Reads fields of a JSON object and checks their types. A value of a wrong type raises a RowError
that shows the value."""

from __future__ import annotations

from typing import Any

from curate.ingest.columns import has_text
from curate.ingest.formats.json_pieces import Element
from manifests.errors import RowError
from manifests.text.json_values import parse_objects


def as_object(element: Element) -> dict[str, Any]:
    """Parses an element, which must be a JSON object. Raises RowError if the element is broken or
    is not an object."""
    value = element.value()
    if not isinstance(value, dict):
        raise RowError(f"the element is {value!r:.80}, not a JSON object")
    return value


def as_objects(batch: list[Element]) -> list[dict[str, Any] | RowError]:
    """Parses many elements together, which is faster than one by one. Returns, for each element,
    the object, or a RowError if the element is broken or is not an object."""
    values = parse_objects([element.data for element in batch])
    return [
        value if type(value) is dict and not element.fault else _object_or_error(element)
        for element, value in zip(batch, values, strict=True)
    ]


def _object_or_error(element: Element) -> dict[str, Any] | RowError:
    try:
        return as_object(element)
    except RowError as error:
        return error


def text_field(row: dict[str, Any], name: str) -> str:
    """The value of a required text field. Raises RowError if the field is missing, or if its value
    is empty or not text."""
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise RowError(f"the field {name!r} is {value!r:.80}, not text")
    return value


def caption_field(row: dict[str, Any], name: str) -> str | None:
    """The value of a caption field; None if the value is null or blank. Raises RowError if the
    field is missing or its value is not text."""
    if name not in row:
        raise RowError(f"there is no field {name!r}; the fields are: {', '.join(row)}.")
    value = row[name]
    if value is not None and not isinstance(value, str):
        raise RowError(f"the field {name!r} is {value!r:.80}, not text")
    return value if has_text(value) else None


def id_field(row: dict[str, Any], name: str) -> str:
    """Returns the value of a required id field as text, so that 5 and "5" are the same id. Raises
    RowError if the value is neither a whole number nor text."""
    value = row.get(name)
    if type(value) is not int and type(value) is not str:
        raise RowError(f"the field {name!r} is {value!r:.80}, neither a whole number nor text")
    return str(value)
