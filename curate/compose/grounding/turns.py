"""Builds the content of a record from questions and answers about an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.compose.grounding.random_choices import RandomChoices
from manifests import record

Segment = dict[str, Any]


class Turn(NamedTuple):
    """A question of the user, and the answer that the assistant has to learn."""

    query: str
    answer: str


def conversation(image: int, turns: Sequence[Turn]) -> list[Segment]:
    """Returns the segments of a conversation: an image (its index in the record's media), then
    turns."""
    return [_image_segment(image), *_text_segments(turns)]


def add_turns(
    content: list[Segment], image: int, turns: Sequence[Turn], choices: RandomChoices
) -> list[Segment]:
    """Returns the conversation `content` with each new turn inserted at a random place: before one
    of the user turns after the last image, or at the end. `image` is the index of the image, within
    the record's media, that the turns are about.

    Content without roles is not a conversation: it is replaced by a new conversation. If the
    conversation does not contain the image, the image and all turns are appended to it.
    """
    if not any(segment["role"] for segment in content):
        return conversation(image, turns)
    if all(segment["media"] != image for segment in content):
        return [*content, _image_segment(image), *_text_segments(turns)]
    out = list(content)
    for turn in turns:
        at = choices.choice(_places_for_a_turn(out))
        out[at:at] = _text_segments([turn])
    return out


def _places_for_a_turn(content: list[Segment]) -> list[int]:
    """Returns the indices in `content` where a new turn may be inserted: before each user turn
    after the last image, and at the end."""
    images = [index for index, segment in enumerate(content) if segment["kind"] != "text"]
    first = max(images, default=-1) + 1
    places = [
        index
        for index in range(first, len(content))
        if content[index]["role"] == "user" and (index == 0 or _turn_ends(content[:index]))
    ]
    return [*places, len(content)]


def _turn_ends(before: list[Segment]) -> bool:
    """Returns whether a new turn may follow the segments `before`: they end with an answer, or have
    no text except a system text."""
    if before[-1]["role"] == "assistant":
        return True
    return all(one["kind"] != "text" or one["role"] == "system" for one in before)


def _image_segment(media: int) -> Segment:
    return {"kind": "image", "text": None, "media": media, "role": "user", "loss": False}


def _text_segments(turns: Sequence[Turn]) -> list[Segment]:
    return [
        {"kind": "text", "text": text, "media": None, "role": role, "loss": role == "assistant"}
        for turn in turns
        for role, text in (("user", turn.query), ("assistant", turn.answer))
    ]


def replace_contents(batch: pa.Table, contents: dict[int, list[Segment]]) -> dict[str, pa.Array]:
    """Replaces the content of some rows; returns the new columns `content` and `raw_text`.

    `contents` is the new content by row. The old text of these rows is kept in `raw_text`, unless
    an earlier step has already set `raw_text`.
    """
    content = record.one_chunk(batch["content"])
    rows = np.array(sorted(contents), np.int64)
    new = pa.array([contents[row] for row in rows.tolist()], content.type)
    source = np.arange(batch.num_rows)
    source[rows] = batch.num_rows + np.arange(len(rows))
    replaced = pa.concat_arrays([content, new]).take(pa.array(source))
    text = record.texts(content)
    old_text = pc.if_else(pc.equal(text, ""), None, text)
    changed = np.zeros(batch.num_rows, bool)
    changed[rows] = True
    raw = record.one_chunk(batch["raw_text"])
    kept = pc.if_else(pa.array(changed), pc.coalesce(raw, old_text), raw)
    return {"content": replaced, "raw_text": kept}
