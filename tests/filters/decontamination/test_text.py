"""Items of benchmarks are found by the n-grams of their texts."""

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
from tests.filters.rows import answers, text_records


def test_a_record_with_a_planted_question_is_dropped_and_the_item_named(
    asked: Callable[..., Any],
) -> None:
    found = asked(PADDING, PADDING + QUESTIONS[1] + PADDING, QUESTIONS[0], None, "")
    assert found == {
        "benchmark": [None, "gsm", "gsm", None, None],
        "item": [None, "q-1", "q-0", None, None],
        "overlap": [None, 1, 1, None, None],
        "similarity": [None] * 5,
        "found_by": [None, "text", "text", None, None],
        "drop": [STAYS, "benchmark text", "benchmark text", STAYS, STAYS],
        "error": [None] * 5,
    }


def test_capitals_punctuation_and_whitespace_are_ignored(asked: Callable[..., Any]) -> None:
    shouted = QUESTIONS[0].upper().replace(" ", " \n - ").replace(",", "")
    assert asked(shouted)["item"] == ["q-0"]


def test_thirteen_words_in_common_match_and_twelve_do_not(asked: Callable[..., Any]) -> None:
    words = QUESTIONS[1].split()
    twelve, thirteen = " ".join(words[:12]), " ".join(words[:13])
    every_13th = " ".join("x" if n % 13 == 12 else word for n, word in enumerate(words))
    found = asked(PADDING + twelve + " x", PADDING + thirteen + " x", every_13th)
    assert found["drop"] == [STAYS, "benchmark text", STAYS]
    assert found["overlap"][1] == pytest.approx(1 / (len(words) - 12))


def test_a_short_item_is_found_only_as_a_whole(asked: Callable[..., Any]) -> None:
    inside = "He asked: is the sum of two ODD numbers always even, or not?"
    broken = "Is the sum of two odd prime numbers always even?"
    cut = "Is the sum of two odd numbers always"
    assert asked(inside, broken, cut, "Why? Why? Why?")["item"] == ["q-2", None, None, None]
    assert asked(inside, QUESTIONS[0], min_words=10)["item"] == [None, "q-0"]
    assert asked("Why, and for what?", inside, min_words=2)["item"] == [None, "q-2"]


def test_overlap_requires_a_share_of_the_item(asked: Callable[..., Any]) -> None:
    words = QUESTIONS[1].split()
    half = " ".join(words[: 12 + (len(words) - 12) // 2])
    found = asked(half, QUESTIONS[1], overlap=0.7)
    assert found["drop"] == [STAYS, "benchmark text"]
    assert found["item"] == ["q-1", "q-1"]
    assert found["overlap"][0] == pytest.approx(0.5, abs=0.05)
    assert asked(half, overlap=0.4)["drop"] == ["benchmark text"]
    assert asked(QUESTIONS[1], half, overlap=1)["drop"] == ["benchmark text", STAYS]


def test_n_may_be_lower_than_min_words(
    asked: Callable[..., Any],
) -> None:
    assert asked("Two odd numbers, always", "even numbers always odd", n=4)["item"] == ["q-2", None]


def test_min_words_may_be_over_n(asked: Callable[..., Any]) -> None:
    texts = (QUESTIONS[0], f"Now: {QUESTIONS[2]}")
    assert asked(*texts, n=4)["drop"] == ["benchmark text"] * 2
    assert asked(*texts, n=4, min_words=10)["drop"] == ["benchmark text", STAYS]


def test_the_item_with_the_largest_share_is_named_and_of_equal_shares_the_first(
    tmp_path: Path,
) -> None:
    boilerplate = "Read the following text with care and then choose the best of the four answers. "
    jsonl(
        tmp_path / "a.jsonl", {"q": boilerplate + QUESTIONS[1]}, {"q": boilerplate + QUESTIONS[0]}
    )
    jsonl(tmp_path / "b.jsonl", {"q": boilerplate + QUESTIONS[0]}, {"q": QUESTIONS[2]})
    step_ = step(*({"name": name, "path": f"{name}.jsonl", "text": ["q"]} for name in "ab"))
    batch = text_records(boilerplate + QUESTIONS[0], boilerplate + "x", QUESTIONS[2])
    found = answers(step_, batch, Media(str(tmp_path)))
    assert found["benchmark"] == ["a", "a", "b"]
    assert found["item"] == ["a.jsonl#2", "a.jsonl#2", "b.jsonl#2"]


def test_characters_of_scripts_without_spaces_are_words(tmp_path: Path) -> None:
    jsonl(tmp_path / "zh.jsonl", {"q": CHINESE})
    batch = text_records(f"请看:{CHINESE}谢谢", CHINESE[:12], CHINESE[:16], CHINESE[::-1])
    found = answers(
        step({"name": "zh", "path": "zh.jsonl", "text": "q"}), batch, Media(str(tmp_path))
    )
    assert found["drop"] == ["benchmark text", STAYS, "benchmark text", STAYS]


def test_every_field_is_compared_on_its_own(tmp_path: Path) -> None:
    row = {"q": QUESTIONS[2], "more": {"choices": [ANSWER, "Yes."]}, "turns": [{"v": QUESTIONS[1]}]}
    jsonl(tmp_path / "b.jsonl", row, {"q": None, "more": None, "turns": [{"v": PADDING}]})
    fields = ["q", "more.choices", "turns.v"]
    step_ = step({"name": "b", "path": "b.jsonl", "text": fields})
    found = answers(step_, text_records(ANSWER, QUESTIONS[2], QUESTIONS[1]), Media(str(tmp_path)))
    assert found["drop"] == ["benchmark text"] * 3
    grams = [len(ANSWER.replace("-", "").replace("=", "").split()) - 12, 1,
             len(QUESTIONS[1].split()) - 12]  # fmt: skip
    assert found["overlap"] == pytest.approx([one / sum(grams) for one in grams])


def test_the_size_of_blocks_does_not_change_the_answers(
    asked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from manifests.kernels import overlap

    some = [PADDING, QUESTIONS[0], None, QUESTIONS[2] * 3, "", QUESTIONS[1]] * 5
    expected = asked(*some)
    monkeypatch.setattr(overlap, "_BLOCK_BYTES", 200)
    assert asked(*some) == expected
