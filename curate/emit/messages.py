"""The column `messages` of shards: conversations in the form that chat templates accept.

Consecutive segments of one role are one message. A record without roles becomes a user message with
the media at its start, and an assistant message with all other segments. In a record with roles, a
segment without a role belongs to the message before it, or to the first message if there is none
before it. A null text is left out.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.segments import Segments, row_offsets

ITEM = pa.struct([("type", pa.string()), ("text", pa.string())])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(ITEM))])


def messages(table: pa.Table) -> pa.Array:
    """Returns the conversation of each record as list<MESSAGE>."""
    segments = Segments.from_table(table)
    roles, role = _roles(segments)
    row, size = segments.row, len(segments.row)
    begins = np.ones(size, bool)
    begins[1:] = (row[1:] != row[:-1]) | (role[1:] != role[:-1])
    starts = np.flatnonzero(begins)
    text = pc.if_else(pa.array(segments.is_kind("text")), segments.field("text"), None)
    items = pa.StructArray.from_arrays([segments.field("kind"), text], fields=list(ITEM))
    content = pa.ListArray.from_arrays(_int32(np.append(starts, size)), items)
    fields = [roles.take(pa.array(role[starts])), content]
    flat = pa.StructArray.from_arrays(fields, fields=list(MESSAGE))
    return pa.ListArray.from_arrays(_int32(row_offsets(row[starts], segments.records)), flat)


def _roles(segments: Segments) -> tuple[pa.Array, np.ndarray]:
    """Returns the names of all roles, and the index of each segment's role among these names."""
    encoded = segments.field("role").dictionary_encode()
    stated = np.asarray(encoded.indices.fill_null(-1))
    user, assistant = len(encoded.dictionary), len(encoded.dictionary) + 1
    roles = pa.concat_arrays([encoded.dictionary, pa.array(["user", "assistant"])])
    row, position = segments.row, np.arange(len(segments.row))
    first_text = np.full(segments.records, len(position))
    texts = np.flatnonzero(segments.is_kind("text"))[::-1]
    first_text[row[texts]] = texts
    default = np.where(position < first_text[row], user, assistant)
    has_roles = np.zeros(segments.records, bool)
    has_roles[row[stated >= 0]] = True
    return roles, np.where(has_roles[row], _filled(stated, row), default)


def _filled(role: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Replaces each missing role (-1) by the previous role in the same row, or else by the next
    one.

    `_filled([-1, 0, -1, 1], [0, 0, 0, 0]) -> [0, 0, 0, 1]`
    """
    last, position = len(role) - 1, np.arange(len(role))
    known = role >= 0
    before = np.maximum.accumulate(np.where(known, position, 0))
    after = np.minimum.accumulate(np.where(known, position, last)[::-1])[::-1]
    in_row = known[before] & (row[before] == row)
    return role[np.where(in_row, before, after)]


def _int32(offsets: np.ndarray) -> pa.Array:
    return pa.array(offsets.astype(np.int32))
