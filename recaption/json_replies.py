"""Replies in JSON: the JSON Schema that a request states, and what is wrong with a reply.

A reply must be exactly what was asked for: nothing in it is repaired, guessed or converted, because
a repaired reply hides that it was cut off or that the model did not follow the schema. Blanks
around the JSON are allowed, and one code fence around all of it, three backquotes with or without
the word json: Qwen models are documented to write it (the notebooks of Qwen3-VL).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from manifests.errors import RowError
from manifests.step import Reply
from manifests.text.json_values import parse_json
from recaption.checks import MAX_CHARS, fault_of

NOT_JSON, WRONG_FIELDS, WRONG_TYPE = "not JSON", "wrong fields", "wrong type"
OUT_OF_RANGE, TOO_LONG = "out of range", "too long"
_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)


class WrongReplyError(Exception):
    """A reply is not what was asked for. Its text is the fault: a short and fixed phrase."""


def fault_by(read: Callable[[str], object], reply: Reply) -> str | None:
    """Returns the fault of a reply: why it is no answer (`checks.fault_of`), or why the function
    `read`, which is given its text, raises WrongReplyError; None if it is good.
    """
    if fault := fault_of(reply):
        return fault
    try:
        read(reply.text)
    except WrongReplyError as error:
        return str(error)
    return None


def json_value(text: str) -> Any:
    """Returns the value of a reply that is JSON and nothing else. NaN and Infinity become None.

    `'{"score": 4}'` and the same text in a code fence -> `{"score": 4}`. Raises WrongReplyError for
    a text around the JSON, a key that an object has twice with different values, nesting deeper
    than 200 levels, half of a surrogate pair, and a text longer than MAX_CHARS.
    """
    if len(text) > MAX_CHARS:
        raise WrongReplyError(TOO_LONG)
    text = text.strip()
    fenced = _FENCE.fullmatch(text)
    try:
        return parse_json((fenced[1] if fenced else text).encode())
    except RowError:
        raise WrongReplyError(NOT_JSON) from None


def object_of(value: Any, kinds: Mapping[str, type]) -> dict[str, Any]:
    """Returns `value`, if it is an object with exactly the fields of `kinds`, each of the type that
    `kinds` states. A bool is no int, and "4" and 4.0 are none either. Raises WrongReplyError."""
    if type(value) is not dict:
        raise WrongReplyError(WRONG_TYPE)
    if value.keys() != kinds.keys():
        raise WrongReplyError(WRONG_FIELDS)
    if any(type(value[name]) is not kind for name, kind in kinds.items()):
        raise WrongReplyError(WRONG_TYPE)
    return value


def object_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON Schema of an object with exactly these fields, in this order. `fields` has
    the schema of each."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }
