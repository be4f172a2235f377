"""Samples: pictures with a caption and other fields beside them, and how they become records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from manifests import record
from manifests.errors import LimitError, RowError
from manifests.header import SUFFIXES, Header
from manifests.media import Limits

CAPTION = ("txt", "caption", "text")
"""Where a caption is looked for by default: the text sidecar, then fields of the JSON one."""
SIDECAR_BYTES = 16 << 20
"""Largest caption or JSON beside a picture (ours): a thousand times the longest real one."""


class Picture(NamedTuple):
    """Where a picture's bytes lie (offset null: the whole file), and what its header says."""

    uri: str
    offset: int | None
    length: int | None
    header: Header


class Description(NamedTuple):
    """What sidecars say: the caption, null where there is none, and the other fields as JSON."""

    text: str | None
    meta: str | None


def is_picture_name(suffix: str) -> bool:
    """Whether a name's ending, `jpg` or `0.jpg`, lower case, is that of a picture."""
    return suffix in SUFFIXES or suffix.rpartition(".")[2] in SUFFIXES


def check_bytes(size: int, limits: Limits) -> None:
    """Raises LimitError for a media file of more bytes than allowed."""
    if size > limits.max_bytes:
        raise LimitError(
            f"{size} bytes is over the limit of {limits.max_bytes}.",
            "",
            "Raise media.max_bytes or let it go to quarantine.",
        )


def describe(sidecars: Mapping[str, bytes | memoryview], wanted: Sequence[str]) -> Description:
    """The caption and the other fields of a sample's sidecars, by suffix.

    Each of `wanted` is the suffix of a sidecar, or else a field of the `json` one; the first that
    says anything is the caption. Fields that repeat it are left out of the rest.
    """
    fields = _object(sidecars["json"]) if "json" in sidecars else {}
    text = None
    for name in wanted:
        said = _text(name, sidecars[name]) if name in sidecars else _field(name, fields)
        text = said.strip() if said else None
        if text:
            break
    ...
