"""Replies in JSON: makes the JSON Schema for a request, and finds the fault of a reply.

A reply must have exactly the form that was asked for. It is never repaired, guessed or converted,
because a repaired reply hides that it was cut off or that the model did not follow the schema.
White space around the JSON is allowed, and so is one code fence around all of it (three backquotes,
with or without the word json), because Qwen models are documented to write one (the notebooks of
Qwen3-VL).
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
    """A reply does not have the form that was asked for. The message is the fault: a short and
    fixed phrase."""


def fault_by(read: Callable[[str], object], reply: Reply) -> str | None:
    """Returns the fault of a reply; None if it has none. The fault is the one that
    `checks.fault_of` finds, or the message of the WrongReplyError that `read` raises for the text
    of the reply."""
    if fault := fault_of(reply):
        return fault
    try:
        read(reply.text)
    except WrongReplyError as error:
        return str(error)
    return None


def json_value(text: str) -> Any:
    """Returns the value of a reply that is JSON and nothing else. NaN and Infinity become None.

    `'{"score": 4}'` and the same text in a code fence -> `{"score": 4}`. Raises WrongReplyError if
    there is text around the JSON, if an object has a key twice with different values, if brackets
    are nested deeper than 200 levels, if an escape is half of a surrogate pair, or if the text has
    more than MAX_CHARS characters.
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
    """Returns `value` if it is an object with exactly the fields in `kinds`, each with a value of
    the type in `kinds`; otherwise raises WrongReplyError. True, "4" and 4.0 do not count as int."""
    if type(value) is not dict:
        raise WrongReplyError(WRONG_TYPE)
    if value.keys() != kinds.keys():
        raise WrongReplyError(WRONG_FIELDS)
    if any(type(value[name]) is not kind for name, kind in kinds.items()):
        raise WrongReplyError(WRONG_TYPE)
    return value


def object_schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON Schema of an object with exactly these fields, in this order. `fields` maps
    the name of each field to the schema of its value."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }
