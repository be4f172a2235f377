"""Conversations, LLaVA's and OpenAI's, as a record's content: pictures stand where a tag did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    """The segments of a conversation; its record's media are all pictures, then all videos.

    A turn is {from, value} or {role, content}; content is a text with `<image>` and `<video>`
    tags, or a list of parts {type: text | image | video}. Text around a tag is stripped, as
    Qwen's trainer does. Training learns to write assistant text, and nothing else.

    Raises RowError where tags and media do not match one to one, a tag stands in an answer, or
    a turn is not one.
    """
    if not turns:
        raise RowError("a conversation without a turn")
    pieces = [piece for number, turn in enumerate(turns) for piece in _pieces(number, turn)]
    _check_counts(pieces, "image", image_count)
    _check_counts(pieces, "video", video_count)
    numbers = {"image": iter(range(image_count)), "video": iter(range(image_count, len(pieces)))}
    return [
        {
            "kind": piece.kind,
            "text": piece.text,
            "media": next(numbers[piece.kind]) if piece.kind in numbers else None,
            "role": piece.role,
            "loss": piece.kind == "text" and piece.role == "assistant",
        }
        for piece in pieces
    ]


def _check_counts(pieces: list[_Piece], kind: str, media: int) -> None:
    tags = sum(piece.kind == kind for piece in pieces)
    if tags != media:
        raise RowError(
            f"{tags} <{kind}> tags for {media} {kind}s.",
            mend="Each must have its tag in a user turn.",
        )


def _pieces(number: int, turn: Mapping[str, Any]) -> Iterator[_Piece]:
    if not isinstance(turn, Mapping):
        raise RowError(f"turn {number} is {turn!r:.80}, not an object")
    role = _role(number, turn.get("from") or turn.get("role"))
    said = turn.get("value") if turn.get("value") is not None else turn.get("content")
    if isinstance(said, str):
        pieces = list(_tagged(role, said))
    elif isinstance(said, Sequence) and not isinstance(said, bytes):
        pieces = [_part(number, role, part) for part in said]
    else:
        raise RowError(f"turn {number} says {said!r:.80}: neither text nor a list of parts")
    if role == "assistant" and any(piece.kind != "text" for piece in pieces):
        raise RowError(f"turn {number} is an answer with a media tag in it")
    yield from pieces or [_Piece(role, "text", "")]


def _role(number: int, name: object) -> str:
    try:
        return ROLES[str(name)]
    except KeyError:
        known = ", ".join(ROLES)
        raise RowError(f"turn {number} is from {name!r}, which is none of {known}") from None


def _tagged(role: str, text: str) -> Iterator[_Piece]:
    """A text cut at its tags; one without a tag stays as it is, to the last blank."""
    if _TAG.search(text) is None:
        yield _Piece(role, "text", text)
        return
    for place, piece in enumerate(_TAG.split(text)):  # text, kind, text, kind, ... text
        if place % 2:
            yield _Piece(role, piece, None)
        elif piece.strip():
            yield _Piece(role, "text", piece.strip())


def _part(number: int, role: str, part: object) -> _Piece:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _PARTS:
        return _Piece(role, _PARTS[kind], None)
    text = part.get("text") if isinstance(part, Mapping) and kind == "text" else None
    if not isinstance(text, str):
        raise RowError(f"turn {number} has the part {part!r:.80}: neither text, image nor video")
    return _Piece(role, "text", text)
