"""What changes the key of a reply, so that it is asked for, and what does not, so that it is
found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manifests.media import Media, Reference
from manifests.step import Message, Request
from recaption.caption.recaption import Recaption
from recaption.client import wire
from recaption.client.prepared import prepared
from tests.make import make_image

FIELDS = {"why": {"type": "string"}, "score": {"type": "integer"}}
BACKWARDS = dict(reversed(FIELDS.items()))
SCHEMA = {"type": "object", "properties": FIELDS}
IMAGE, SAME, OTHER = (Reference(f"{name}.jpg") for name in ("image", "same", "other"))
REQUEST = Request(
    (Message("system", ("Be brief.",)), Message("user", (IMAGE, "Describe it."))),
    "own 1",
    SCHEMA,
    {"top_p": 0.5, "top_k": 3},
)


@pytest.fixture
def media(tmp_path: Path) -> Media:
    for name, seed in (("image", 0), ("same", 0), ("other", 1)):
        (tmp_path / f"{name}.jpg").write_bytes(make_image(seed=seed))
    return Media(str(tmp_path))


def key(media: Media, request: Request = REQUEST, bad_before: int = 0, **settings: Any) -> bytes:
    step = Recaption(**{"model": "m", "endpoint": "http://127.0.0.1:1/v1", **settings})
    return prepared(step, request, bad_before, media).key


def user(*parts: str | Reference) -> Request:
    return REQUEST._replace(messages=(REQUEST.messages[0], Message("user", parts)))


REQUESTS = {
    "text": user(IMAGE, "Describe it!"),
    "order of the parts": user("Describe it.", IMAGE),
    "texts in two parts": user(IMAGE, "Describe ", "it."),
    "content of the image": user(OTHER, "Describe it."),
    "two images": user(IMAGE, IMAGE, "Describe it."),
    "role": REQUEST._replace(messages=(Message("user", ("Be brief.",)), REQUEST.messages[1])),
    "no system message": REQUEST._replace(messages=REQUEST.messages[1:]),
    "version of the prompt": REQUEST._replace(prompt="own 2"),
    "no schema": REQUEST._replace(schema=None),
    "schema": REQUEST._replace(schema={**SCHEMA, "additionalProperties": False}),
    "order of the fields": REQUEST._replace(schema={"type": "object", "properties": BACKWARDS}),
    "parameters": REQUEST._replace(parameters={"top_p": 0.5}),
}
SETTINGS: list[dict[str, Any]] = [
    {"model": "n"}, {"revision": "2"}, {"temperature": None}, {"max_tokens": 7}, {"seed": 1},
    {"seed": None}, {"max_pixels": 500}, {"parameters": {"min_p": 0.1}},
]  # fmt: skip
PLACES: list[dict[str, Any]] = [
    {"endpoint": "http://elsewhere/v1"}, {"journal": "other"}, {"max_concurrent": 3},
    {"timeout_seconds": 1}, {"max_attempts": 1}, {"max_outage_seconds": 1},
    {"prices": {"input": 1, "output": 2}}, {"budget": {"requests": 1}}, {"api_key_variable": "KEY"},
    {"bad_replies": "drop"},
]  # fmt: skip


@pytest.mark.parametrize("changed", REQUESTS)
def test_another_request_has_another_key(media: Media, changed: str) -> None:
    assert key(media, REQUESTS[changed]) != key(media)


@pytest.mark.parametrize("changed", SETTINGS, ids=str)
def test_a_setting_that_decides_the_reply_changes_the_key(
    media: Media, changed: dict[str, Any]
) -> None:
    assert key(media, **changed) != key(media)


@pytest.mark.parametrize("changed", PLACES, ids=str)
def test_a_setting_that_does_not_decide_the_reply_leaves_the_key(
    media: Media, changed: dict[str, Any]
) -> None:
    assert key(media, **changed) == key(media)


def test_the_reply_after_a_bad_one_has_a_key_of_its_own(media: Media) -> None:
    assert key(media, seed=1) != key(media, bad_before=1, seed=0)  # both send the seed 1
    assert key(media, seed=None) != key(media, bad_before=1, seed=None)


def test_the_encoding_of_images_is_part_of_the_key(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(media)
    monkeypatch.setattr(wire, "ENCODING", wire.ENCODING + 1)
    assert key(media) != before


def test_names_of_files_notes_and_the_order_of_parameters_leave_the_key(media: Media) -> None:
    assert key(media, user(SAME, "Describe it.")) == key(media)
    assert key(media, REQUEST._replace(notes={"asked": "x"})) == key(media)
    assert key(media, REQUEST._replace(parameters={"top_k": 3, "top_p": 0.5})) == key(media)


def test_without_images_their_size_leaves_the_key(media: Media) -> None:
    assert key(media, user("Hello"), max_pixels=500) == key(media, user("Hello"))
