"""Converts conversations in the format of LLaVA or OpenAI to the segments of a record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from curate.ingest.images import OpenedImage
from manifests import record
from manifests.errors import RowError

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_TAG = re.compile(r"<(image|video)>")
_PARTS = {"image": "image", "image_url": "image", "video": "video", "video_url": "video"}


class ChatSegment(NamedTuple):
    """One segment of a conversation: a text, or (if `text` is None) the next image."""

    role: str
    kind: str
    text: str | None


def chat_segments(turns: Sequence[Mapping[str, Any]], image_count: int) -> list[ChatSegment]:
    """Converts the turns of a conversation to segments. It has `image_count` images and no videos.

    A turn is {from, value} (LLaVA) or {role, content} (OpenAI). Its content is a text with
    `<image>` and `<video>` tags, or a list of parts {type: text | image | video}. Whitespace beside
    a tag is removed, as in Qwen's trainer.

        {from: human, value: "<image>\\nWhat is this?"} and one image ->
        (user, image, None), (user, text, "What is this?")

    Raises RowError if the number of tags is not the number of images, if an assistant's turn has a
    tag, or if a turn has neither of the two forms.
    """
    if not turns:
        raise RowError("the conversation has no turns")
    segments = [segment for turn in enumerate(turns) for segment in _turn_segments(*turn)]
    _check_count("image", segments, image_count)
    _check_count("video", segments, 0)
    return segments


def add_chat(
    row: record.Row, segments: Iterable[ChatSegment], images: Iterable[OpenedImage]
) -> None:
    """Adds a conversation to a record. Each segment without text uses the next image of `images`.

    In training, the model learns to write only the assistant's texts.
    """
    following = iter(images)
    for segment in segments:
        if segment.text is None:
            row.image(*next(following), role=segment.role)
        else:
            row.turn(segment.role, segment.text)


def _check_count(kind: str, segments: list[ChatSegment], count: int) -> None:
    tags = sum(segment.kind == kind for segment in segments)
    if tags != count:
        raise RowError(
            f"the turns have {tags} <{kind}> tags, but the sample has {count} {kind}s.",
            fix=f"Each {kind} must have one tag, in a user turn.",
        )


def _turn_segments(number: int, turn: Mapping[str, Any]) -> list[ChatSegment]:
    if not isinstance(turn, Mapping):
        raise RowError(f"turn {number} is {turn!r:.80}, not an object")
    role = _role(number, turn.get("from") or turn.get("role"))
    content = turn.get("value")
    if content is None:
        content = turn.get("content")
    if isinstance(content, str):
        segments = _split_at_tags(role, content)
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        segments = [_part(number, role, part) for part in content]
    else:
        raise RowError(f"turn {number} has {content!r:.80}, neither text nor a list of parts")
    if role == "assistant" and any(segment.kind != "text" for segment in segments):
        raise RowError(f"turn {number} is an answer, but it has a media tag")
    return segments or [ChatSegment(role, "text", "")]


def _role(number: int, name: object) -> str:
    try:
        return ROLES[str(name)]
    except KeyError:
        known = ", ".join(ROLES)
        raise RowError(f"turn {number} is from {name!r}, which is not one of {known}") from None


def _split_at_tags(role: str, text: str) -> list[ChatSegment]:
    """Splits the text of a turn into texts and media, in order. A text without a tag keeps its
    surrounding whitespace."""
    if "<image>" not in text and "<video>" not in text:
        return [ChatSegment(role, "text", text)]
    segments = []
    for place, piece in enumerate(_TAG.split(text)):  # text, kind, text, kind, ... text
        if place % 2:
            segments.append(ChatSegment(role, piece, None))
        elif stripped := piece.strip():
            segments.append(ChatSegment(role, "text", stripped))
    return segments


def _part(number: int, role: str, part: object) -> ChatSegment:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _PARTS:
        return ChatSegment(role, _PARTS[kind], None)
    text = part.get("text") if isinstance(part, Mapping) and kind == "text" else None
    if not isinstance(text, str):
        raise RowError(f"turn {number} has the part {part!r:.80}, neither text, image nor video")
    return ChatSegment(role, "text", text)
