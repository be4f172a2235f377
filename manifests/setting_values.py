"""Validators of settings: for numbers, for sizes in bytes, for lists that may be given as one
value, and for groups of settings of which a recipe gives only some."""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, PositiveInt, ValidationInfo

LARGEST = 2**63 - 1
"""The largest whole number that a setting accepts, which is the largest in a column (int64)."""

_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,19})?)\s*(?:([kmgtpe])(i?))?b?", re.IGNORECASE | re.ASCII)


def size_in_bytes(value: Any) -> Any:
    """Converts a text with a size to a number of bytes. A value that is not a text is returned
    unchanged.

    `size_in_bytes("512MB") -> 512_000_000`, `size_in_bytes("64 MiB") -> 67_108_864`
    """
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError(
            f"{value!r:.80} is not a size; write bytes, or a number with a unit: 512MB, 64MiB"
        )
    number, prefix, is_binary = found.groups()
    power = " kmgtpe".index(prefix.lower()) if prefix else 0
    size = Fraction(number) * (1024 if is_binary else 1000) ** power
    if size > LARGEST:
        raise ValueError(f"the size is over the limit of {LARGEST} bytes; write a smaller size")
    return int(size)


Bytes = Annotated[PositiveInt, BeforeValidator(size_in_bytes, json_schema_input_type=int | str)]
"""The type of a setting that is a size: bytes, or a number with a unit such as `512MB` or
`64MiB`."""


def as_list(value: Any) -> Any:
    """Returns a single text as a list with one element, and any other value unchanged."""
    return [value] if isinstance(value, str) else value


def one_or_more(item: Any) -> BeforeValidator:
    """Returns a validator for a list of texts of the type `item`, which a recipe may also give as
    one text: `by: language` is `by: [language]`. The JSON Schema of recipes has both forms."""
    return BeforeValidator(as_list, json_schema_input_type=item | list[item])


Names = Annotated[tuple[str, ...], one_or_more(str)]
"""The type of a setting that takes one name (`caption`) or several names (`[caption, alt]`)."""


def plain_number(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Checks the value of a setting, and returns it unchanged. Raises ValueError if the setting
    takes a number, and the value is true or false (pydantic would read 1 or 0), or is a whole
    number over 64 bits.

    Use it for all settings: `_plain = field_validator("*", mode="before")(plain_number)`.
    """
    if not isinstance(value, bool | int) or info.field_name is None:
        return value
    annotation: Any = cls.model_fields[info.field_name].annotation
    types = _types(annotation)
    if isinstance(value, bool) and bool not in types and {int, float} & types:
        raise ValueError(f"{str(value).lower()} is not a number; write a number")
    if abs(value) > LARGEST and int in types and float not in types:
        raise ValueError(f"the number is over the limit of {LARGEST}; write a smaller number")
    return value


@functools.cache
def _types(annotation: Any) -> frozenset[Any]:
    """Returns all types in an annotation: `int | None -> {int, NoneType}`."""
    inner = get_args(annotation)
    return frozenset().union(*map(_types, inner)) if inner else frozenset([annotation])


def completed(default: BaseModel) -> BeforeValidator:
    """Returns a validator for a group of settings, such as `resize: {factor: 28}`. If a recipe
    gives only some settings of the group, the other settings get their values from `default`, and
    not from the defaults of the group's class."""

    def complete(given: Any) -> Any:
        return {**default.model_dump(), **given} if isinstance(given, dict) else given

    return BeforeValidator(complete)
