"""Questions and answers about an image as the content of its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.compose.grounding.choice import Draws
from manifests import record

Segment = dict[str, Any]


class Turn(NamedTuple):
    """What the user asks, and what the assistant is to learn to answer."""

    query: str
    answer: str


def conversation(image: int, turns: Sequence[Turn]) -> list[Segment]:
    """The segments of a conversation about one of the record's images, which comes first."""
    return [_image(image), *_said(turns)]


def added(content: list[Segment], image: int, turns: Sequence[Turn], draws: Draws) -> list[Segment]:
    """The conversation with turns added, each between any two others, or as the first or last.

    Content without roles is none: it is replaced by one. An image that the conversation does not
    show comes with the first of the turns, all of which then stand last.
    """
    if not any(segment["role"] for segment in content):
        return conversation(image, turns)
    if all(segment["media"] != image for segment in content):
        return [*content, _image(image), *_said(turns)]
    out = list(content)
    for turn in turns:
        at = draws.one(_gaps(out))
        out[at:at] = _said([turn])
    return out


def _gaps(content: list[Segment]) -> list[int]:
    """Where a turn may stand: at the end, behind an answer, or behind images that start."""
    shows = [at for at, segment in enumerate(content) if segment["kind"] != "text"]
    asks = max(shows, default=-1) + 1
    gaps = [
        at
        for at in range(asks, len(content))
        if content[at]["role"] == "user" and (at == 0 or _closes(content[:at]))
    ]
    return [*gaps, len(content)]


def _closes(before: list[Segment]) -> bool:
    """Whether nothing that the user began to say is open."""
    if before[-1]["role"] == "assistant":
        return True
    return all(one["kind"] != "text" or one["role"] == "system" for one in before)


def _image(media: int) -> Segment:
    return {"kind": "image", "text": None, "media": media, "role": "user", "loss": False}


def _said(turns: Sequence[Turn]) -> list[Segment]:
    return [
        {"kind": "text", "text": text, "media": None, "role": role, "loss": role == "assistant"}
        for turn in turns
        for role, text in (("user", turn.query), ("assistant", turn.answer))
    ]


def rewritten(batch: pa.Table, contents: dict[int, list[Segment]]) -> dict[str, pa.Array]:
    """The columns `content` and `raw_text` with the content of some rows replaced; the text they
    had is kept as `raw_text`, unless a step before has kept one."""
    content = record.one_chunk(batch["content"])
    rows = np.array(sorted(contents), np.int64)
    new = pa.array([contents[row] for row in rows.tolist()], content.type)
    where = np.arange(batch.num_rows)
    where[rows] = batch.num_rows + np.arange(len(rows))
    replaced = pa.concat_arrays([content, new]).take(pa.array(where))
    text = record.texts(content)
    said = pc.if_else(pc.equal(text, ""), None, text)
    mine = np.zeros(batch.num_rows, bool)
    mine[rows] = True
    raw = record.one_chunk(batch["raw_text"])
    kept = pc.if_else(pa.array(mine), pc.coalesce(raw, said), raw)
    return {"content": replaced, "raw_text": kept}
