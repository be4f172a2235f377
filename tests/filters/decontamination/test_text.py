"""Items of benchmarks are met by the n-grams of their texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifests.media import Media
from tests.filters.decontamination.benchmarks import (
    ANSWER,
    CHINESE,
    PADDING,
    QUESTIONS,
    STAYS,
    jsonl,
    step,
)
from tests.filters.rows import answers, of_texts


def test_a_planted_question_goes_and_is_named(asked: Callable[..., Any]) -> None:
    said = asked(PADDING, PADDING + QUESTIONS[1] + PADDING, QUESTIONS[0], None, "")
    assert said == {
        "benchmark": [None, "gsm", "gsm", None, None],
        "item": [None, "q-1", "q-0", None, None],
        "overlap": [None, 1, 1, None, None],
        "similarity": [None] * 5,
        "drop": [STAYS, "benchmark text", "benchmark text", STAYS, STAYS],
        "error": [None] * 5,
    }


def test_capitals_punctuation_and_whitespace_hide_nothing(asked: Callable[..., Any]) -> None:
    shouted = QUESTIONS[0].upper().replace(" ", " \n - ").replace(",", "")
    assert asked(shouted)["item"] == ["q-0"]


def test_twelve_words_in_common_are_none_and_thirteen_are(asked: Callable[..., Any]) -> None:
    words = QUESTIONS[1].split()
    twelve, thirteen = " ".join(words[:12]), " ".join(words[:13])
    every_13th = " ".join("x" if n % 13 == 12 else word for n, word in enumerate(words))
    said = asked(PADDING + twelve + " x", PADDING + thirteen + " x", every_13th)
    assert said["drop"] == [STAYS, "benchmark text", STAYS]
    assert said["overlap"][1] == pytest.approx(1 / (len(words) - 12))


def test_a_short_item_is_met_whole_or_not_at_all(asked: Callable[..., Any]) -> None:
    inside = "He asked: is the sum of two ODD numbers always even, or not?"
    broken = "Is the sum of two odd prime numbers always even?"
    cut = "Is the sum of two odd numbers always"
    assert asked(inside, broken, cut, "Why? Why? Why?")["item"] == ["q-2", None, None, None]
    assert asked(inside, QUESTIONS[0], min_words=10)["item"] == [None, "q-0"]
    assert asked("Why, and for what?", inside, min_words=2)["item"] == [None, "q-2"]


def test_a_share_of_the_item_can_be_asked_for(asked: Callable[..., Any]) -> None:
    words = QUESTIONS[1].split()
    half = " ".join(words[: 12 + (len(words) - 12) // 2])
    said = asked(half, QUESTIONS[1], overlap=0.7)
    assert said["drop"] == [STAYS, "benchmark text"]
    assert said["item"] == ["q-1", "q-1"]
    assert said["overlap"][0] == pytest.approx(0.5, abs=0.05)
    assert asked(half, overlap=0.4)["drop"] == ["benchmark text"]
    assert asked(QUESTIONS[1], half, overlap=1)["drop"] == ["benchmark text", STAYS]


def test_ngrams_may_be_shorter_than_texts_that_are_compared_whole(
    asked: Callable[..., Any],
) -> None:
    assert asked("Two odd numbers, always", "even numbers always odd", n=4)["item"] == ["q-2", None]


def test_the_item_of_which_there_is_most_is_named_and_in_a_draw_the_first(tmp_path: Path) -> None:
    boilerplate = "Read the following text with care and then choose the best of the four answers. "
    jsonl(
        tmp_path / "a.jsonl", {"q": boilerplate + QUESTIONS[1]}, {"q": boilerplate + QUESTIONS[0]}
    )
    jsonl(tmp_path / "b.jsonl", {"q": boilerplate + QUESTIONS[0]}, {"q": QUESTIONS[2]})
    step_ = step(*({"name": name, "path": f"{name}.jsonl", "text": ["q"]} for name in "ab"))
    batch = of_texts(boilerplate + QUESTIONS[0], boilerplate + "x", QUESTIONS[2])
    said = answers(step_, batch, Media(str(tmp_path)))
    assert said["benchmark"] == ["a", "a", "b"]
    assert said["item"] == ["a.jsonl#2", "a.jsonl#2", "b.jsonl#2"]


def test_characters_of_scripts_without_spaces_are_words(tmp_path: Path) -> None:
    jsonl(tmp_path / "zh.jsonl", {"q": CHINESE})
    batch = of_texts(f"请看:{CHINESE}谢谢", CHINESE[:12], CHINESE[:16], CHINESE[::-1])
    said = answers(
        step({"name": "zh", "path": "zh.jsonl", "text": "q"}), batch, Media(str(tmp_path))
    )
    assert said["drop"] == ["benchmark text", STAYS, "benchmark text", STAYS]


def test_every_field_is_compared_by_itself(tmp_path: Path) -> None:
    row = {"q": QUESTIONS[2], "more": {"choices": [ANSWER, "Yes."]}, "turns": [{"v": QUESTIONS[1]}]}
    jsonl(tmp_path / "b.jsonl", row, {"q": None, "more": None, "turns": [{"v": PADDING}]})
    fields = ["q", "more.choices", "turns.v"]
    step_ = step({"name": "b", "path": "b.jsonl", "text": fields})
    said = answers(step_, of_texts(ANSWER, QUESTIONS[2], QUESTIONS[1]), Media(str(tmp_path)))
    assert said["drop"] == ["benchmark text"] * 3
    grams = [len(ANSWER.replace("-", "").replace("=", "").split()) - 12, 1,
             len(QUESTIONS[1].split()) - 12]  # fmt: skip
    assert said["overlap"] == pytest.approx([one / sum(grams) for one in grams])


def test_batches_and_blocks_answer_alike(
    asked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from manifests.kernels import overlap

    some = [PADDING, QUESTIONS[0], None, QUESTIONS[2] * 3, "", QUESTIONS[1]] * 5
    whole = asked(*some)
    monkeypatch.setattr(overlap, "_BLOCK_BYTES", 200)
    assert asked(*some) == whole
