"""Validators of settings: for numbers, and for groups of settings of which a recipe gives only
some."""

from __future__ import annotations

import functools
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator, ValidationInfo

LARGEST = 2**63 - 1
"""The largest whole number that a setting accepts, which is the largest in a column (int64)."""


def plain_number(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Returns the value of a setting unchanged. Raises ValueError if the setting is a number, and
    the value is true or false, which pydantic would take for 1 or 0, or a whole number over 64
    bits.

    Use it for all settings: `_plain = field_validator("*", mode="before")(plain_number)`.
    """
    if not isinstance(value, bool | int) or info.field_name is None:
        return value
    annotation: Any = cls.model_fields[info.field_name].annotation
    types = _types(annotation)
    if isinstance(value, bool) and bool not in types and {int, float} & types:
        raise ValueError(f"{str(value).lower()} is not a number; write a number")
    if abs(value) > LARGEST and int in types and float not in types:
        raise ValueError(f"the number is over the limit of {LARGEST}; write a smaller one")
    return value


@functools.cache
def _types(annotation: Any) -> frozenset[Any]:
    """Returns all types in an annotation: `int | None -> {int, NoneType}`."""
    inner = get_args(annotation)
    return frozenset().union(*map(_types, inner)) if inner else frozenset([annotation])


def completed(default: BaseModel) -> BeforeValidator:
    """Returns a validator for a group of settings. If a recipe gives only some settings of the
    group, the other settings get their values from `default`, and not from the defaults of the
    group's class."""

    def complete(given: Any) -> Any:
        return {**default.model_dump(), **given} if isinstance(given, dict) else given

    return BeforeValidator(complete)
