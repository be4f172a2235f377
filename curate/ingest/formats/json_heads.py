"""Reads the first object of a JSON file. Readers look at its keys to recognise their format."""

from __future__ import annotations

import codecs
from itertools import chain
from typing import Any

from curate.ingest.formats.json_elements import elements, object_keys
from curate.ingest.formats.json_pieces import BLANKS, after_bracket, pieces
from curate.ingest.reader import Head
from manifests.errors import InputError, RowError
from manifests.text.json_values import parse_objects

FIRST_LINES = 100
"""Number of lines at the start of a file in which a JSON object is looked for (our choice), so that
a file with a few broken lines at its start is still recognised."""
_BLANKS = codecs.BOM_UTF8 + BLANKS


def first_object(head: Head) -> dict[str, Any] | None:
    """Returns the first object of a file that can be parsed; None if there is no such object. If
    the file is a JSON array, only its first element is tried; this element is read from the file if
    `head.data` ends inside it. If the file has JSON lines, its first lines are tried."""
    start = head.data.lstrip(_BLANKS)
    try:
        if start.startswith(b"["):
            found = [_first_element(head)]
        else:
            found = parse_objects(start.split(b"\n", FIRST_LINES)[:FIRST_LINES])
    except (RowError, InputError):
        return None
    return next((row for row in found if isinstance(row, dict)), None)


def _first_element(head: Head) -> Any:
    """Returns the value of the first element of an array. If `head.data` ends inside this element,
    the whole element is read from the file."""
    at, chunks = after_bracket(iter([head.data]), 0, b"[")
    first = next(chain.from_iterable(pieces(chunks, at, 0, is_array=True)), None)
    if first is not None and first.fault and head.file.size > len(head.data):
        first = next(elements(head.file.uri), None)
    return first and first.value()


def first_keys(head: Head) -> list[str]:
    """The keys of the first object of a JSON array or of JSON lines. The object may be cut off at
    the end of `head.data`."""
    found = first_object(head)
    if found is not None:
        return list(found)
    start = head.data.lstrip(_BLANKS)
    return object_keys(start[1:].lstrip(_BLANKS) if start.startswith(b"[") else start)
