"""Conversations about images."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.hunt.forms import JSON
from tests.hunt.generators.annotations import corners
from tests.hunt.made import Made
from tests.hunt.rows import RowOf, Rows
from tests.hunt.seen import Seen, SeenObject, Segment
from tests.hunt.words import Photo, phrase, plain, some_photos


def turns(draw: Random, photo: Photo, images: int) -> list[Segment]:
    """The segments of a chat: its images in the first turn, then texts of the user and the
    assistant in turn."""
    first = [Segment(image=photo.name, role="user")] * images
    texts = [
        Segment(text=phrase(draw, photo.token, breaks=True), role=("user", "assistant")[n % 2])
        for n in range(draw.choice((2, 2, 4)))
    ]
    return [*first, *texts]


def as_messages(segments: list[Segment]) -> list[dict[str, Any]]:
    """OpenAI's form: `<image>` in the text of the first turn."""
    images = sum(segment.image is not None for segment in segments)
    texts = [segment for segment in segments if segment.text is not None]
    content = [segment.text or "" for segment in texts]
    content[0] = "<image>" * images + content[0]
    return [{"role": s.role, "content": c} for s, c in zip(texts, content, strict=True)]


def as_conversations(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """LLaVA's form of the same messages."""
    who = {"user": "human", "assistant": "gpt"}
    return [{"from": who[m["role"]], "value": m["content"]} for m in messages]


def sample(draw: Random, photo: Photo) -> RowOf:
    segments = turns(draw, photo, draw.choice((0, 1, 1, 1, 2)))
    images = [s.image for s in segments if s.image]
    messages = as_messages(segments)
    value: dict[str, Any] = {"id": photo.token}
    if draw.random() < 0.5:
        value |= {"images": images, "messages": messages}
    else:
        value["conversations"] = as_conversations(messages)
        if images:
            value["image"] = images if len(images) > 1 else images[0]
    return RowOf(value, [Seen(tuple(segments))])


def llava(draw: Random) -> Made:
    rows = [sample(draw, photo) for photo in some_photos(draw)]
    return Rows(draw.choice(JSON), rows, {"media_root": "images"}).made(draw)


def qwen_grounding(draw: Random) -> Made:
    """Boxes in thousandths, as JSON in the answer."""
    rows = []
    for photo in some_photos(draw):
        boxes = [_box(draw) for _ in range(draw.choice((0, 1, 1, 3)))]
        label = plain(draw, photo.token)
        found = [{"bbox_2d": box, "label": label} for box in boxes]
        fence = draw.choice(("```json\n%s\n```", "%s"))
        answer = fence % json.dumps(found, ensure_ascii=False) if boxes else label
        question = phrase(draw, photo.token)
        segments = [Segment(image=photo.name, role="user"), Segment(question, role="user")]
        segments.append(Segment(answer, role="assistant"))
        objects = tuple(SeenObject(label, box=tuple(map(float, box))) for box in boxes)
        messages = as_conversations(as_messages(segments))
        value = {"id": 1, "image": photo.name, "conversations": messages}
        rows.append(RowOf(value, [Seen(tuple(segments), objects)]))
    if not any(row.records[0].objects for row in rows):
        return qwen_grounding(draw)
    return Rows(draw.choice(JSON), rows, {"media_root": "images"}).made(draw)


def _box(draw: Random) -> list[int]:
    x1, y1 = draw.randrange(900), draw.randrange(900)
    return [x1, y1, draw.randrange(x1 + 2, 1001), draw.randrange(y1 + 2, 1001)]


def ms_swift(draw: Random) -> Made:
    """Boxes in pixels, in `objects`; placeholders in the texts are replaced."""
    rows = []
    for photo in some_photos(draw):
        name, boxes = plain(draw, photo.token), [corners(draw, photo) for _ in range(2)]
        boxes = boxes[: draw.choice((1, 1, 2))]
        shown = [photo.box(*box) for box in boxes]
        question = phrase(draw, photo.token)
        turns = [
            {"role": "user", "content": f"<image>{question} <ref-object>"},
            {"role": "assistant", "content": " ".join(["<bbox>"] * len(boxes))},
        ]
        answer = " ".join(str([round(number) for number in box]) for box in shown)
        segments = (
            Segment(image=photo.name, role="user"),
            Segment(f"{question} {name}", role="user"),
            Segment(answer, role="assistant"),
        )
        values = {"ref": [name], "bbox": [list(box) for box in boxes]}
        value = {"messages": turns, "images": [photo.name], "objects": values}
        objects = tuple(SeenObject(name, box=box) for box in shown)
        rows.append(RowOf(value, [Seen(segments, objects)]))
    return Rows(draw.choice(JSON), rows, {"media_root": "images"}).made(draw)


MAKERS = {"llava": llava, "qwen_grounding": qwen_grounding, "ms_swift": ms_swift}
