"""The tokens of requests are counted as a model of Qwen counts them, and without its vocabulary by
their bytes."""

from __future__ import annotations

import pytest

from manifests.errors import InputError
from manifests.geometry.smart_resize import AROUND_IMAGE
from manifests.media import Reference
from manifests.step import Message, Request
from recaption.client import counting, wire
from recaption.client.counting import TokenCounter
from recaption.client.images import SentImage
from tests.make import make_image

FIRST, SECOND = Reference("one.jpg"), Reference("two.jpg")


def without_vocabulary() -> None:
    raise InputError("the library tiktoken is not installed", "tokens", "Install it.")


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("Qwen/Qwen2-VL-7B-Instruct", 11 * 11),
        ("Qwen2.5-VL-32B-Instruct", 11 * 11),
        ("qwen2_5_vl", 11 * 11),
        ("qwen2.5vl:7b", 11 * 11),
        ("Qwen3-VL-8B-Instruct", 10 * 10),
        ("qwen2.5-7b-instruct", 10 * 10),
        ("gpt-5", 10 * 10),
    ],
)
def test_the_model_decides_the_size_of_the_patches_of_an_image(model: str, tokens: int) -> None:
    """Patches of 28 pixels for Qwen2-VL and Qwen2.5-VL, of 32 for all others."""
    counter = TokenCounter(model)
    assert counter.image(310, 310) == tokens + AROUND_IMAGE
    assert counter.name.endswith("qwen2_5_vl" if tokens == 121 else "qwen3_vl")


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 1), ("abcd", 2), ("é" * 3, 2)])
def test_without_the_vocabulary_three_bytes_are_a_token(
    monkeypatch: pytest.MonkeyPatch, text: str, tokens: int
) -> None:
    monkeypatch.setattr(counting, "qwen_tokenizer", without_vocabulary)
    counter = TokenCounter("m")
    assert not counter.is_exact
    assert counter.name.startswith("texts by 3 bytes a token, ")
    assert counter.text(text) == tokens


def test_a_text_that_the_vocabulary_cannot_split_is_counted_by_its_bytes() -> None:
    pytest.importorskip("tiktoken")
    counter = TokenCounter("m")
    assert counter.is_exact
    assert counter.text("two words") == 2
    assert counter.text("x" * 3_000_000) == 1_000_000


def test_a_body_has_as_many_tokens_as_its_request() -> None:
    sizes = {FIRST: (640, 480), SECOND: (100, 300)}
    parts = (FIRST, "What is this?", SECOND, "And that?")
    request = Request((Message("system", ("Answer briefly.",)), Message("user", parts)))
    images = {ref: SentImage("image/jpeg", make_image(*size)) for ref, size in sizes.items()}
    counter = TokenCounter("m")
    counted = counter.request(request, sizes)
    assert counter.body(wire.request_body(request, "m", {}, images)) == counted
    texts = sum(map(counter.text, ("Answer briefly.", "What is this?", "And that?")))
    assert counted == texts + counter.image(640, 480) + counter.image(100, 300)


def test_an_image_whose_size_is_not_known_counts_nothing() -> None:
    request = Request((Message("user", (FIRST, "text")),))
    body = wire.request_body(request, "m", {}, {FIRST: SentImage("image/x", b"no image")})
    counter = TokenCounter("m")
    assert counter.body(body) == counter.text("text")
