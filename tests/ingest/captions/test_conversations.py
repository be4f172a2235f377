"""Conversations become segments, or say why not."""

from __future__ import annotations

from typing import Any

import pytest

from curate.ingest.conversations import conversation_content
from manifests.errors import RowError


def said(role: str, text: str) -> dict[str, Any]:
    loss = role == "assistant"
    return {"kind": "text", "text": text, "media": None, "role": role, "loss": loss}


def shown(media: int, kind: str = "image", role: str = "user") -> dict[str, Any]:
    return {"kind": kind, "text": None, "media": media, "role": role, "loss": False}


def test_a_tag_becomes_the_image_and_the_blanks_around_it_go() -> None:
    turns = [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": " A cat.\n"},
    ]
    assert conversation_content(turns, 1) == [
        shown(0),
        said("user", "What is this?"),
        said("assistant", " A cat.\n"),
    ]


def test_images_are_numbered_in_the_order_of_their_tags_over_all_turns() -> None:
    turns = [
        {"from": "human", "value": "Between <image> and <image>?"},
        {"from": "gpt", "value": "The first."},
        {"from": "human", "value": "And now?<image>"},
        {"from": "gpt", "value": "The third."},
    ]
    assert conversation_content(turns, 3) == [
        said("user", "Between"),
        shown(0),
        said("user", "and"),
        shown(1),
        said("user", "?"),
        said("assistant", "The first."),
        said("user", "And now?"),
        shown(2),
        said("assistant", "The third."),
    ]


def test_videos_are_numbered_after_all_images() -> None:
    turns = [{"from": "user", "value": "<video><image>"}, {"from": "gpt", "value": "Yes."}]
    assert conversation_content(turns, 1, video_count=1) == [
        shown(1, "video"),
        shown(0),
        said("assistant", "Yes."),
    ]


def test_roles_and_contents_in_openai_s_words_mean_the_same() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    ]
    assert conversation_content(turns, 1) == [
        said("system", "Be brief."),
        shown(0),
        said("user", "What?"),
        said("assistant", "A cat."),
    ]


def test_a_conversation_without_images_is_one_of_text() -> None:
    turns = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]
    assert conversation_content(turns, 0) == [said("user", "Hello"), said("assistant", "Hi.")]


def test_an_empty_turn_stays_a_turn() -> None:
    turns = [{"from": "human", "value": ""}, {"from": "gpt", "value": "Hi."}]
    assert conversation_content(turns, 0) == [said("user", ""), said("assistant", "Hi.")]


def test_fields_of_the_other_dialect_may_be_there_and_null() -> None:
    turns = [{"from": None, "value": None, "role": "user", "content": "Hello"}]
    assert conversation_content(turns, 0) == [said("user", "Hello")]


@pytest.mark.parametrize(
    ("turns", "images", "fault"),
    [
        ([], 0, "a conversation without a turn"),
        ([{"from": "human", "value": "What?"}], 1, "0 <image> tags for 1 images."),
        ([{"from": "human", "value": "<image><image>"}], 1, "2 <image> tags for 1 images."),
        ([{"from": "human", "value": "<video>"}], 0, "1 <video> tags for 0 videos."),
        (
            [{"from": "gpt", "value": "See <image>"}],
            1,
            "turn 0 is an answer with a media tag in it",
        ),
        (
            [{"from": "robot", "value": "x"}],
            0,
            "turn 0 is from 'robot', which is none of human, user, gpt, assistant, system",
        ),
        ([{"value": "x"}], 0, "turn 0 is from None, which is none of"),
        ([{"from": "human", "value": None}], 0, "turn 0 says None: neither text nor a list"),
        ([{"from": "human", "value": 7}], 0, "turn 0 says 7: neither text nor a list of parts"),
        (["hello"], 0, "turn 0 is 'hello', not an object"),
        (
            [{"role": "user", "content": [{"type": "audio"}]}],
            0,
            "turn 0 has the part {'type': 'audio'}: neither text, image nor video",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": None}]}],
            0,
            "turn 0 has the part {'type': 'text', 'text': None}: neither text, image nor video",
        ),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_turn(
    turns: list[Any], images: int, fault: str
) -> None:
    with pytest.raises(RowError) as error:
        conversation_content(turns, images)
    assert error.value.fault.startswith(fault)
