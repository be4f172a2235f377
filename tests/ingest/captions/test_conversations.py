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
            "the turns have 0 <image> tags or parts, but the sample has 1 images.",
        ),
        (
            [{"from": "human", "value": "<image><image>"}],
            1,
            "the turns have 2 <image> tags or parts, but the sample has 1 images.",
        ),
        (
            [{"from": "human", "value": "<video>"}],
            0,
            "the turns show 1 videos, which this reader does not support.",
        ),
        (
            [{"from": "gpt", "value": "See <image>"}],
            1,
            (
                "turn 0 is from the assistant, but it contains an image or a video, which only "
                "user and system turns may contain"
            ),
        ),
        (
            [{"from": "robot", "value": "x"}],
            0,
            (
                "the role of turn 0 is 'robot', which is not one of human, user, gpt, assistant, "
                "system"
            ),
        ),
        ([{"value": "x"}], 0, "the role of turn 0 is None, which is not one of"),
        (
            [{"from": "human", "value": None}],
            0,
            "the content of turn 0 is None, neither text nor a list",
        ),
        (
            [{"from": "human", "value": 7}],
            0,
            "the content of turn 0 is 7, neither text nor a list of parts",
        ),
        (["hello"], 0, "turn 0 is 'hello', not a JSON object"),
        (
            [{"role": "user", "content": [{"type": "audio"}]}],
            0,
            (
                "turn 0 has the part {'type': 'audio'}, which is not an object of the type text, "
                "image or video"
            ),
        ),
        (
            [{"role": "user", "content": ["hello"]}],
            0,
            "turn 0 has the part 'hello', which is not an object of the type text",
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": None}]}],
            0,
            "turn 0 has a part whose field 'text' is None, not text",
        ),
    ],
)
def test_a_turn_of_the_wrong_form_is_an_error_that_names_it(
    turns: list[Any], images: int, fault: str
) -> None:
    with pytest.raises(RowError) as error:
        chat_segments(turns, images)
    assert error.value.fault.startswith(fault)


def parts(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(given)}, {"role": "assistant", "content": "x"}]


def images_of(turns: Any, paths: list[str | None]) -> list[int | str | bytes | None]:
    found = chat_segments(turns, len(paths), paths)
    return [segment.image for segment in found if segment.kind == "image"]


P0, P1 = "p0.jpg", "p1.jpg"


@pytest.mark.parametrize(
    ("given", "paths", "shown"),
    [
        ([{"type": "image"}, {"type": "image"}], [P0, P1], [0, 1]),
        ([{"type": "image", "index": 1}, {"type": "image", "index": 0}], [P0, P1], [1, 0]),
        ([{"type": "image", "image": P1}, {"type": "image", "image": P0}], [P0, P1], [1, 0]),
        ([{"type": "image", "image": P1, "text": None, "index": None}], [P1], [0]),
        ([{"type": "image", "path": P0}, {"type": "image", "path": P0}], [P0], [0, 0]),
        ([{"type": "image", "image": P0}], [], [P0]),
        ([{"type": "image_url", "image_url": {"url": P0, "detail": "low"}}], [], [P0]),
        ([{"type": "input_image", "image_url": "data:image/png;base64,QQ=="}], [],
         ["data:image/png;base64,QQ=="]),
        ([{"type": "image", "base64": "QQ=="}], [], ["data:;base64,QQ=="]),
        ([{"type": "image", "image": {"bytes": b"A", "path": P0}}], [], [b"A"]),
        ([{"type": "image", "image": P0, "min_pixels": 9}], [], [P0]),
    ],
)  # fmt: skip
def test_a_part_has_the_image_that_it_names(
    given: list[dict[str, Any]], paths: list[str | None], shown: list[Any]
) -> None:
    assert images_of(parts(*given), paths) == shown


@pytest.mark.parametrize(
    ("given", "paths", "fault"),
    [
        ([{"type": "image", "image": P1}, {"type": "image"}], [P0, P1], "a part of a turn"),
        ([{"type": "image", "image": "p2.jpg"}], [P0], "a part of a turn refers to the image 'p2"),
        ([{"type": "image", "index": 2}], [P0, P1], "a part of a turn refers to the image with"),
        ([{"type": "image", "index": -1}], [P0], "a part of a turn refers to the image with"),
        ([{"type": "image", "index": 1}], [P0, P1], "no turn refers to the image 'p0"),
        ([{"type": "image", "index": "1"}], [P0, P1], "turn 0: the index '1' is not a whole"),
        ([{"type": "image", "file_id": "f1"}], [P0], "turn 0: the part {'type': 'image', 'file"),
        ([{"type": "image", "image": P0, "index": 0}], [P0], "turn 0: the part {"),
        ([{"type": "image", "image": 7}], [], "7 is not an image: neither a path, a data"),
        ([{"type": "image", "image": {"bytes": "QQ=="}}], [], ("the field 'bytes' of an image "
                                                              "is 'QQ==', which is not binary "
                                                              "data.")),
    ],
)  # fmt: skip
def test_a_part_that_names_no_image_of_the_sample_is_an_error(
    given: list[dict[str, Any]], paths: list[str | None], fault: str
) -> None:
    with pytest.raises(RowError) as error:
        chat_segments(parts(*given), len(paths), paths)
    assert error.value.fault.startswith(fault)


def test_turns_may_be_an_object_of_lists() -> None:
    turns = {"from": ["human", "gpt"], "value": ["<image>What?", "A cat."]}
    assert chat_segments(turns, 1) == chat_segments(
        [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "A cat."}], 1
    )
    for wrong in ({"from": ["human"], "value": []}, {"from": "human"}, "text", 7):
        with pytest.raises(RowError, match="the turns are "):
            chat_segments(wrong, 0)


def test_the_loss_of_a_turn_is_kept() -> None:
    turns = [
        {"role": "user", "content": "Why?", "loss": True},
        {"role": "assistant", "content": "So.", "loss": False},
        {"role": "assistant", "content": "Thus.", "loss_scale": 1.0, "weight": None},
        {"role": "assistant", "content": "Then.", "weight": 0},
    ]
    segments = chat_segments(turns, 0)
    assert [segment.loss for segment in segments] == [True, False, True, False]
    builder = record.Builder("chats", "chat")
    add_chat(builder.add("key", "origin"), segments, [])
    [row] = builder.table().to_pylist()
    assert [segment["loss"] for segment in row["content"]] == [True, False, True, False]


@pytest.mark.parametrize(
    ("turn", "fault"),
    [
        ({"content": "x", "loss_scale": 0.5}, "turn 0: 'loss_scale' is 0.5, neither 0 nor 1."),
        ({"content": "x", "tool_calls": [{}]}, "turn 0 has the field 'tool_calls', which this"),
        ({"content": "x", "reasoning_content": "y"}, "turn 0 has the field 'reasoning_content'"),
    ],
)
def test_what_a_record_cannot_hold_of_a_turn_is_an_error(turn: dict[str, Any], fault: str) -> None:
    with pytest.raises(RowError) as error:
        chat_segments([{"role": "assistant", **turn}], 0)
    assert error.value.fault.startswith(fault)
