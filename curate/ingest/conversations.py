"""Converts conversations in the formats of LLaVA, OpenAI and ms-swift to segments. A segment is a
text or an image of one turn."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curate.ingest.images import OpenedImage
from curate.ingest.message_parts import ChatSegment, part_segment
from manifests import record
from manifests.errors import RowError

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
NAME, BOX = "<ref-object>", "<bbox>"
"""Placeholders of ms-swift for a name and for a box or point, whose values are in `objects`."""
_TAG = re.compile(r"<(image|video)>")
_LOSSES = ("loss", "loss_scale", "weight")
_UNREAD = ("tool_calls", "function_call", "reasoning_content", "audio")
"""Fields of a turn that are not read, although they may hold a part of the answer. A turn in which
one of them is not empty is an error."""


def chat_segments(
    turns: object, image_count: int, paths: Sequence[str | None] | None = None
) -> list[ChatSegment]:
    """Converts the turns of a conversation to segments. `image_count` is the number of images of
    the sample, and `paths` has the paths of these images if the paths are known. A sample with
    videos is not supported.

    A turn is {from, value} (LLaVA) or {role, content} (OpenAI). The content of a turn is a text
    with `<image>` and `<video>` tags, or a list of parts {type: text | image | video}. In a text
    with a tag, whitespace is removed from both ends of each piece, as in Qwen's trainer. The field
    `loss` (ms-swift), `loss_scale` or `weight` (OpenAI) of a turn says whether the model learns to
    write the turn; if a turn has several of these fields, the model learns to write it only if all
    are 1. `turns` may also be one dict of lists, which is how `datasets` stores a sequence of
    dicts.

        {from: human, value: "<image>\\nWhat is this?"} and one image ->
        segments (role, kind, text, image): (user, image, None, 0),
        (user, text, "What is this?", None)

    The first tag stands for the first image of the sample, and so on. If a part of a turn names its
    image, then all parts with images must name their images, and there must be no tag.

    Raises RowError if there are no turns, if the tags and the images do not correspond, if there is
    a video, if an assistant's turn has an image, or if a turn is malformed or has a field that is
    not supported, such as `tool_calls`.
    """
    listed = turns_of(turns)
    if not listed:
        raise RowError("the conversation has no turns")
    segments = [segment for turn in enumerate(listed) for segment in _turn_segments(*turn)]
    if videos := sum(segment.kind == "video" for segment in segments):
        raise RowError(
            f"the turns show {videos} videos, which this reader does not support.",
            fix="Remove the videos, or leave the sample in quarantine.",
        )
    images = [segment for segment in segments if segment.kind == "image"]
    if all(segment.image is None for segment in images):
        _check_count(len(images), image_count)
        number = itertools.count()
        return [s._replace(image=next(number)) if s.kind == "image" else s for s in segments]
    return _with_named_images(segments, image_count, paths or [None] * image_count)


def check_placeholders(segments: Iterable[ChatSegment]) -> None:
    """Raises RowError for a text with a placeholder of ms-swift, such as `<bbox>`, because a model
    would learn to write the placeholder itself."""
    for segment in segments:
        for tag in (NAME, BOX):
            if tag in (segment.text or ""):
                raise RowError(
                    f"a turn contains the placeholder {tag}. ms-swift replaces the placeholder by "
                    "a name or a box, but this reader does not.",
                    fix="For samples with `objects`, use the reader ms_swift, which reads JSON. "
                    "In any other sample, remove the placeholder.",
                )


def turns_of(value: object) -> list[Any]:
    """Returns the turns of a conversation as a list. `value` is this list, or a dict of lists of
    the same length. Raises RowError for any other value.

    `{"from": ["human", "gpt"], "value": ["Hi", "Hello"]}` -> `[{"from": "human", "value": "Hi"},
    {"from": "gpt", "value": "Hello"}]`
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(v, list) for v in value.values()):
        fault = f"the turns are {value!r:.80}, not a list."
        raise RowError(fault, fix="Write the turns of a sample as a list of objects.")
    counts = {name: len(values) for name, values in value.items()}
    if len(set(counts.values())) > 1:
        raise RowError(
            f"the turns are an object of lists, but the lists have different lengths: {counts}.",
            fix="Write one value for each turn into each list.",
        )
    return [dict(zip(value, turn, strict=True)) for turn in zip(*value.values(), strict=True)]


def add_chat(
    row: record.Row, segments: Iterable[ChatSegment], images: Iterable[OpenedImage]
) -> None:
    """Adds a conversation to a record. Each segment without text is an image, and takes the next
    image of `images`.

    In training, the model learns to write only the assistant's texts, unless a turn says otherwise.
    """
    following = iter(images)
    for segment in segments:
        if segment.text is None:
            row.image(*next(following), role=segment.role)
        else:
            loss = segment.role == "assistant" if segment.loss is None else segment.loss
            row.text(segment.text, role=segment.role, loss=loss)


def _with_named_images(
    segments: list[ChatSegment], image_count: int, paths: Sequence[str | None]
) -> list[ChatSegment]:
    """Returns the segments after paths in the field `image` are replaced by indices. `paths` are
    the paths of the sample's images: with paths [a.jpg, b.jpg], the image `b.jpg` becomes 1. If the
    sample lists no images, a path is not replaced. A data url or bytes are never replaced.

    Raises RowError if one segment names its image and another segment does not, if a segment names
    an image that the sample does not have, or if the sample has an image that no segment shows.
    """
    named = [
        s._replace(image=_named_image(s.image, image_count, paths)) if s.kind == "image" else s
        for s in segments
    ]
    shown = {segment.image for segment in named if segment.kind == "image"}
    for number, path in enumerate(itertools.islice(paths, image_count)):
        if number not in shown and (path is None or paths.index(path) not in shown):
            name = f"with the index {number}" if path is None else repr(path)
            raise RowError(
                f"no turn refers to the image {name} of the sample.",
                fix="Refer to the image in a turn, or remove it from the sample's images.",
            )
    return named


def _named_image(
    image: int | str | bytes | None, image_count: int, paths: Sequence[str | None]
) -> int | str | bytes:
    if image is None:
        raise RowError(
            "a part of a turn names its image, but another part, or an <image> tag, does not.",
            fix="Name the image in every part, and remove the <image> tags; or name no image.",
        )
    if isinstance(image, int):
        if 0 <= image < image_count:
            return image
        raise RowError(
            f"a part of a turn refers to the image with the index {image}, but the sample has "
            f"{image_count} images.",
            fix="Correct the index. The first image has the index 0.",
        )
    if isinstance(image, str) and image_count and not image.startswith("data:"):
        if image in paths:
            return paths.index(image)
        raise RowError(
            f"a part of a turn refers to the image {image!r:.200}, which is not among the "
            "sample's images.",
            fix="Use a path that the sample lists, or remove the sample's list of images.",
        )
    return image


def _check_count(tags: int, images: int) -> None:
    if tags != images:
        raise RowError(
            f"the turns have {tags} <image> tags or parts, but the sample has {images} images.",
            fix="Write one <image> tag for each image of the sample, in a user turn.",
        )


def _turn_segments(number: int, turn: object) -> list[ChatSegment]:
    if not isinstance(turn, Mapping):
        raise RowError(f"turn {number} is {turn!r:.80}, not a JSON object")
    role, loss = _role(number, turn.get("from") or turn.get("role")), _loss(number, turn)
    content = turn.get("value")
    if content is None:
        content = turn.get("content")
    if isinstance(content, str):
        segments = _split_at_tags(role, content)
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        segments = [part_segment(number, role, part) for part in content]
    else:
        raise RowError(
            f"the content of turn {number} is {content!r:.80}, neither text nor a list of parts"
        )
    if role == "assistant" and any(segment.kind != "text" for segment in segments):
        raise RowError(
            f"turn {number} is from the assistant, but it contains an image or a "
            "video, which only user and system turns may contain"
        )
    segments = segments or [ChatSegment(role, "text", "")]
    return segments if loss is None else [one._replace(loss=loss) for one in segments]


def _loss(number: int, turn: Mapping[str, Any]) -> bool | None:
    """Whether the model learns to write the turn; None if the turn does not state it. `number` is
    the number of the turn, for error messages. Raises RowError for a field that is not supported,
    such as `tool_calls`, and for a value other than 0, 1, false and true."""
    for name in _UNREAD:
        if turn.get(name):
            fault = f"turn {number} has the field {name!r}, which this reader does not support."
            raise RowError(fault, fix="Move its content into the text of the turn, or remove it.")
    stated = {name: turn[name] for name in _LOSSES if turn.get(name) is not None}
    for name, value in stated.items():
        if value not in (0, 1):
            fault = f"turn {number}: {name!r} is {value!r:.80}, neither 0 nor 1."
            raise RowError(
                fault, fix="Write 1 if the model should learn to write this turn, otherwise 0."
            )
    return all(stated.values()) if stated else None


def _role(number: int, name: object) -> str:
    try:
        return ROLES[str(name)]
    except KeyError:
        known = ", ".join(ROLES)
        raise RowError(
            f"the role of turn {number} is {name!r}, which is not one of {known}"
        ) from None


def _split_at_tags(role: str, text: str) -> list[ChatSegment]:
    """Splits the text of a turn at its `<image>` and `<video>` tags into segments, in order:
    `"<image> What is this?"` -> an image, then the text `What is this?`. Whitespace at both ends of
    each piece is removed, and blank pieces are left out. A text without a tag is returned
    unchanged, as one segment."""
    if "<image>" not in text and "<video>" not in text:
        return [ChatSegment(role, "text", text)]
    segments = []
    for place, piece in enumerate(_TAG.split(text)):  # text, kind, text, kind, ... text
        if place % 2:
            segments.append(ChatSegment(role, piece, None))
        elif stripped := piece.strip():
            segments.append(ChatSegment(role, "text", stripped))
    return segments
