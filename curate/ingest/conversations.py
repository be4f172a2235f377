"""Conversations, LLaVA's and OpenAI's, as a record's content: images stand where a tag did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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


class _Piece(NamedTuple):
    role: str
    kind: str
    text: str | None


def conversation_content(
    turns: Sequence[Mapping[str, Any]], image_count: int, video_count: int = 0
) -> list[dict[str, Any]]:
    """The segments of a conversation; its record's media are all images, then all videos.

    A turn is {from, value} or {role, content}; content is a text with `<image>` and `<video>`
    tags, or a list of parts {type: text | image | video}. Text around a tag is stripped, as
    Qwen's trainer does. Training learns to write assistant text, and nothing else.

    Raises RowError where tags and media do not match one to one, a tag stands in an answer, or
    a turn is not one.
    """
    if not turns:
        raise RowError("a conversation without a turn")
    pieces: list[_Piece] = []
    for number, turn in enumerate(turns):
        pieces += _pieces(number, turn)
    kinds = [piece.kind for piece in pieces]
    _check_count("image", kinds.count("image"), image_count)
    _check_count("video", kinds.count("video"), video_count)
    numbers = {"image": iter(range(image_count)), "video": iter(range(image_count, len(pieces)))}
    return [
        {
            "kind": kind,
            "text": text,
            "media": next(numbers[kind]) if kind in numbers else None,
            "role": role,
            "loss": role == "assistant",  # whose pieces are all text
        }
        for role, kind, text in pieces
    ]


def _check_count(kind: str, tags: int, media: int) -> None:
    if tags != media:
        raise RowError(
            f"{tags} <{kind}> tags for {media} {kind}s.",
            fix="Each must have its tag in a user turn.",
        )


def _pieces(number: int, turn: Mapping[str, Any]) -> list[_Piece]:
    if not isinstance(turn, Mapping):
        raise RowError(f"turn {number} is {turn!r:.80}, not an object")
    role = _role(number, turn.get("from") or turn.get("role"))
    said = turn.get("value")
    if said is None:
        said = turn.get("content")
    if isinstance(said, str):
        pieces = _tagged(role, said)
    elif isinstance(said, Sequence) and not isinstance(said, bytes):
        pieces = [_part(number, role, part) for part in said]
    else:
        raise RowError(f"turn {number} says {said!r:.80}: neither text nor a list of parts")
    if role == "assistant" and any(piece.kind != "text" for piece in pieces):
        raise RowError(f"turn {number} is an answer with a media tag in it")
    return pieces or [_Piece(role, "text", "")]


def _role(number: int, name: object) -> str:
    try:
        return ROLES[str(name)]
    except KeyError:
        known = ", ".join(ROLES)
        raise RowError(f"turn {number} is from {name!r}, which is none of {known}") from None


def _tagged(role: str, text: str) -> list[_Piece]:
    """A text cut at its tags; one without a tag stays as it is, to the last blank."""
    if "<image>" not in text and "<video>" not in text:
        return [_Piece(role, "text", text)]
    pieces = []
    for place, piece in enumerate(_TAG.split(text)):  # text, kind, text, kind, ... text
        if place % 2:
            pieces.append(_Piece(role, piece, None))
        elif stripped := piece.strip():
            pieces.append(_Piece(role, "text", stripped))
    return pieces


def _part(number: int, role: str, part: object) -> _Piece:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _PARTS:
        return _Piece(role, _PARTS[kind], None)
    text = part.get("text") if isinstance(part, Mapping) and kind == "text" else None
    if not isinstance(text, str):
        raise RowError(f"turn {number} has the part {part!r:.80}: neither text, image nor video")
    return _Piece(role, "text", text)
