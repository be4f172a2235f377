"""Makes records from tar samples whose JSON file has a conversation, such as the samples that
curate itself wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.ingest.captions.records.sidecars import json_fields
from curate.ingest.conversations import chat_segments, check_placeholders, turns_of
from curate.ingest.images import OpenedImage
from curate.ingest.message_parts import ChatSegment
from curate.ingest.meta import to_json
from manifests.errors import RowError
from manifests.record import MODALITIES, image_media

TURNS = ("messages", "conversations")
OWN = ("id", "modality", "source", "origin", "messages", "objects", "cameras", "language", "meta")
"""The JSON fields of every sample in a WebDataset shard that curate wrote."""
FROM = "curate.from"
"""The key in `meta` for the id, source and origin that a record had in the shard from which it is
read."""


def turns_field(fields: Mapping[str, Any]) -> str | None:
    """Returns the name of the JSON field, `messages` or `conversations`, that has a conversation as
    a list of turns or a dict of lists; None if neither field has a conversation."""
    return next((name for name in TURNS if _holds_turns(fields.get(name))), None)


def chat_fields(sidecars: Mapping[str, bytes | memoryview]) -> dict[str, Any] | None:
    """The fields of a sample's JSON file if it has a conversation; otherwise None. JSON in which
    neither `messages` nor `conversations` occurs is not parsed. `sidecars` has the bytes of the
    files beside the image, by suffix."""
    data = bytes(sidecars.get("json", b""))
    if not any(f'"{name}"'.encode() in data for name in TURNS):
        return None
    fields = json_fields(data)
    return fields if turns_field(fields) else None


def chat_row(
    fields: Mapping[str, Any], text: str | None, images: Sequence[OpenedImage], paths: Sequence[str]
) -> dict[str, Any]:
    """Returns the columns of the record of a sample with a conversation, for `record.from_rows`.

    `fields` is the sample's JSON, `text` its caption, and `paths` has the names of its images. All
    other fields go to `meta`; a caption that is not the text of the conversation goes to `meta` as
    `txt`. A sample that curate wrote becomes the same record again, with its modality, roles, loss
    (whether the model learns to write a segment), objects and language. Raises RowError for a
    malformed conversation.
    """
    name = turns_field(fields)
    assert name is not None, "the caller asks turns_field first"
    is_own = set(OWN) <= fields.keys()
    stated, turns = fields.get("segments") if is_own else None, fields[name]
    if stated is not None:  # the roles of the turns are not those of the record
        turns = [{**turn, "role": "user"} for turn in turns]
    segments = chat_segments(turns, len(images), list(paths))
    if not is_own:
        check_placeholders(segments)
    content = _content(segments, stated)
    others = {key: value for key, value in fields.items() if key != name}
    if text and text.strip() != "\n".join(one["text"] for one in content if one["text"]).strip():
        others["txt"] = text
    columns: dict[str, Any] = {"modality": "chat", "content": content}
    if is_own:
        columns |= _own_columns(others)
        others = _own_meta(others)
    cameras = columns.pop("cameras", None) or [None] * len(images)
    columns["media"] = [
        image_media(*images[number], camera=camera)
        for number, camera in zip(_shown(segments), cameras, strict=True)
    ]
    return columns | {"meta": to_json(others) if others else None}


def _holds_turns(value: Any) -> bool:
    """Whether a JSON value is a conversation: its first turn must have a `role` or a `from`."""
    try:
        turns = turns_of(value)
    except RowError:
        return False
    first = turns[0] if turns else None
    return isinstance(first, Mapping) and not {"role", "from"}.isdisjoint(first)


def _shown(segments: list[ChatSegment]) -> list[int]:
    """Returns, for each image segment, the index of its image in the sample. Raises RowError if a
    segment has the path or the bytes of an image in place of an index."""
    shown = [segment.image for segment in segments if segment.text is None]
    if not all(isinstance(image, int) for image in shown):
        fault = "the conversation refers to an image that is not a member of the sample."
        raise RowError(fault, fix="Add the image to the tar as a member with the sample's key.")
    return [image for image in shown if isinstance(image, int)]


def _content(segments: list[ChatSegment], stated: Any) -> list[dict[str, Any]]:
    """Makes the `content` of a record: a dict for each segment, with its role and whether the model
    learns to write it (`loss`).

    `stated` is the field `segments` of a sample that curate wrote, otherwise None. It has the role
    and the loss of each segment, which replace the roles and losses that the turns give: `{"role":
    [null, null], "loss": [false, true]}`.
    """
    loss = [
        s.role == "assistant" and s.text is not None if s.loss is None else s.loss for s in segments
    ]
    roles: list[str | None] = [segment.role for segment in segments]
    if stated is not None:
        roles, loss = (_list_of(stated, one) for one in ("role", "loss"))
        if not len(roles) == len(loss) == len(segments):
            fault = (
                f"the field 'segments' has {len(roles)} roles, but the field 'messages' "
                f"has {len(segments)} parts."
            )
            raise RowError(fault, fix="Run the recipe that wrote this shard again.")
    media = iter(range(len(segments)))
    return [
        {
            "kind": segment.kind,
            "text": segment.text,
            "media": next(media) if segment.text is None else None,
            "role": role,
            "loss": learned,
        }
        for segment, role, learned in zip(segments, roles, loss, strict=True)
    ]


def _list_of(stated: Any, name: str) -> list[Any]:
    value = stated.get(name) if isinstance(stated, dict) else None
    if not isinstance(value, list):
        raise RowError(
            f"'{name}' in the field 'segments' is {value!r:.80}, not a list.",
            fix="Run the recipe that wrote this shard again.",
        )
    return value


def _own_columns(fields: dict[str, Any]) -> dict[str, Any]:
    modality = fields["modality"]
    if modality not in MODALITIES:
        raise RowError(
            f"the field 'modality' is {modality!r:.80}, not one of {', '.join(MODALITIES)}."
        )
    names = ("modality", "objects", "language", "cameras")
    return {name: fields[name] for name in names}


def _own_meta(fields: dict[str, Any]) -> dict[str, Any]:
    """The `meta` of a sample that curate wrote: the sample's own `meta`, its columns of measures
    and, under the key `curate.from`, its former id, source and origin."""
    before = fields["meta"]
    meta = before if isinstance(before, dict) else {} if before is None else {"meta": before}
    rest = {key: value for key, value in fields.items() if key not in (*OWN, "segments")}
    return {**meta, **rest, FROM: {key: fields[key] for key in ("id", "source", "origin")}}
