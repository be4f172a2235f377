"""Conversations become segments, or an error that names the turn."""

from __future__ import annotations

from typing import Any

import pytest

from curate.ingest.conversations import add_chat, chat_segments
from curate.ingest.images import OpenedImage
from manifests import record
from manifests.errors import RowError
from manifests.media import Reference
from manifests.media.header import Header


def content(turns: list[dict[str, Any]], image_count: int) -> list[dict[str, Any]]:
    """The content of the record of a conversation; its images are 0.jpg, 1.jpg, ... in order."""
    header = Header("image/jpeg", 1, 1)
    images = [OpenedImage(Reference(f"{n}.jpg"), header) for n in range(image_count)]
    builder = record.Builder("chats", "chat")
    add_chat(builder.add("key", "origin"), chat_segments(turns, image_count), images)
    (row,) = builder.table().to_pylist()
    assert [media["uri"] for media in row["media"]] == [image.reference.uri for image in images]
    segments: list[dict[str, Any]] = row["content"]
    return segments


def text(role: str, text: str) -> dict[str, Any]:
    loss = role == "assistant"
    return {"kind": "text", "text": text, "media": None, "role": role, "loss": loss}


def image(media: int) -> dict[str, Any]:
    return {"kind": "image", "text": None, "media": media, "role": "user", "loss": False}


def test_a_tag_becomes_the_image_and_whitespace_around_it_is_stripped() -> None:
    turns = [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": " A cat.\n"},
    ]
    assert content(turns, 1) == [
        image(0),
        text("user", "What is this?"),
        text("assistant", " A cat.\n"),
    ]


def test_images_are_numbered_in_the_order_of_their_tags_over_all_turns() -> None:
    turns = [
        {"from": "human", "value": "Between <image> and <image>?"},
        {"from": "gpt", "value": "The first."},
        {"from": "human", "value": "And now?<image>"},
        {"from": "gpt", "value": "The third."},
    ]
    assert content(turns, 3) == [
        text("user", "Between"),
        image(0),
        text("user", "and"),
        image(1),
        text("user", "?"),
        text("assistant", "The first."),
        text("user", "And now?"),
        image(2),
        text("assistant", "The third."),
    ]


def test_openai_s_roles_and_contents_are_read_as_llava_s() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    ]
    assert content(turns, 1) == [
        text("system", "Be brief."),
        image(0),
        text("user", "What?"),
        text("assistant", "A cat."),
    ]


def test_a_conversation_without_images_is_one_of_text() -> None:
    turns = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]
    assert content(turns, 0) == [text("user", "Hello"), text("assistant", "Hi.")]


def test_an_empty_turn_stays_a_turn() -> None:
    turns = [{"from": "human", "value": ""}, {"from": "gpt", "value": "Hi."}]
    assert content(turns, 0) == [text("user", ""), text("assistant", "Hi.")]


def test_fields_of_the_other_layout_may_be_present_and_null() -> None:
    turns = [{"from": None, "value": None, "role": "user", "content": "Hello"}]
    assert content(turns, 0) == [text("user", "Hello")]


@pytest.mark.parametrize(
    ("turns", "images", "fault"),
    [
        ([], 0, "the conversation has no turns"),
        (
            [{"from": "human", "value": "What?"}],
            1,
            "the turns have 0 <image> tags, but the sample has 1 images.",
        ),
        (
            [{"from": "human", "value": "<image><image>"}],
            1,
            "the turns have 2 <image> tags, but the sample has 1 images.",
        ),
        (
            [{"from": "human", "value": "<video>"}],
            0,
            "the turns have 1 <video> tags, but the sample has 0 videos.",
        ),
        (
            [{"from": "gpt", "value": "See <image>"}],
            1,
            "turn 0 is an answer, but it has a media tag",
        ),
        (
            [{"from": "robot", "value": "x"}],
            0,
            "turn 0 is from 'robot', which is not one of human, user, gpt, assistant, system",
        ),
        ([{"value": "x"}], 0, "turn 0 is from None, which is not one of"),
        ([{"from": "human", "value": None}], 0, "turn 0 has None, neither text nor a list"),
        ([{"from": "human", "value": 7}], 0, "turn 0 has 7, neither text nor a list of parts"),
        (["hello"], 0, "turn 0 is 'hello', not an object"),
        (
            [{"role": "user", "content": [{"type": "audio"}]}],
            0,
            "turn 0 has the part {'type': 'audio'}, neither text, image nor video",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": None}]}],
            0,
            "turn 0 has the part {'type': 'text', 'text': None}, neither text, image nor video",
        ),
    ],
)
def test_a_turn_of_the_wrong_form_is_an_error_that_names_it(
    turns: list[Any], images: int, fault: str
) -> None:
    with pytest.raises(RowError) as error:
        chat_segments(turns, images)
    assert error.value.fault.startswith(fault)
