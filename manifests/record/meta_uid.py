"""Reads the uid of a record from its field `meta`. Some tables have a column `uid`, and the reader
of the table stored its value there."""

from __future__ import annotations

from manifests.text.json_values import dump_json, parse_json


def meta_uid(meta: str | None) -> str | None:
    """Returns the field `uid` of a record's `meta`; None if the field is missing. A value that is
    not a string is returned as JSON: `meta_uid('{"uid": 7}') -> "7"`."""
    fields = parse_json(meta.encode()) if meta else None
    uid = fields.get("uid") if isinstance(fields, dict) else None
    return uid if uid is None or isinstance(uid, str) else dump_json(uid)
