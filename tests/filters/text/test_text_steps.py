"""The text steps: measures, drops and their reasons, for every row in order."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.text.alphanumeric import Alphanumeric
from filters.text.character_repetition import CharacterRepetition
from filters.text.characters import Characters
from filters.text.special_characters import SpecialCharacters
from filters.text.word_repetition import WordRepetition
from filters.text.words import Words
from manifests import record
from manifests.step import RowStep
from tests.filters.rows import answers, text_records

STAYS = None
AGAIN = "again and again and again and again and again"


def test_words_are_counted_and_the_broken_bound_is_the_reason() -> None:
    batch = text_records("a cat", None, "", "one two three four", " a\u3000b\tc\n")
    assert answers(Words(min=2, max=3), batch) == {
        "count": [2, 0, 0, 4, 3],
        "drop": [STAYS, "too few words", "too few words", "too many words", STAYS],
        "error": [None] * 5,
    }


def test_characters_counts_code_points() -> None:
    batch = text_records("abc", "漢字", "e\u0301", "👩‍👧", None)
    assert answers(Characters(min=2, max=2), batch) == {
        "count": [3, 2, 2, 3, 0],
        "drop": ["too many characters", STAYS, STAYS, "too many characters", "too few characters"],
        "error": [None] * 5,
    }


def test_alphanumeric_counts_letters_and_digits_of_every_script() -> None:
    batch = text_records("ab12", "漢字!?", "- - ", None)
    assert answers(Alphanumeric(min=0.5, max=0.9), batch) == {
        "ratio": [1, 0.5, 0, 0],
        "drop": ["too many letters and digits", STAYS, *["too few letters and digits"] * 2],
        "error": [None] * 4,
    }


def test_special_characters_are_neither_letters_nor_marks() -> None:
    batch = text_records("abcd", "a 1!", "हिंदी", "👍\u200d", "")
    assert answers(SpecialCharacters(max=0.75), batch) == {
        "ratio": [0, 0.75, 0, 1, 0],
        "drop": [STAYS, STAYS, STAYS, "too many special characters", STAYS],
        "error": [None] * 5,
    }


def test_character_repetition_is_the_share_of_the_most_frequent_n_grams() -> None:
    # "aaaaaaaaaaaa" has 3 n-grams of 10 letters, all equal. "abababab" has 7 of 2 letters: "ab" 4
    # times, "ba" 3 times; the root of 2 distinct n-grams is 1, so only "ab" counts.
    batch = text_records("aaaaaaaaaaaa", "abcdefghijklmnop", "short", None)
    assert answers(CharacterRepetition(max=0.5), batch)["ratio"] == [1, 0, 0, 0]
    assert answers(CharacterRepetition(n=2, max=0.5), text_records("abababab", "abcdab")) == {
        "ratio": [4 / 7, 2 / 5],
        "drop": ["repeated characters", STAYS],
        "error": [None, None],
    }


def test_word_repetition_is_the_share_of_n_grams_that_occur_again() -> None:
    batch = text_records(AGAIN, "Again AND again and", "the cat sat", "x", None)
    assert answers(WordRepetition(n=2, max=0.7), batch) == {
        "ratio": [1, 2 / 3, 0, 0, 0],
        "drop": ["repeated words", STAYS, STAYS, STAYS, STAYS],
        "error": [None] * 5,
    }


@pytest.mark.parametrize(
    "step",
    [
        Words(),
        Characters(),
        Alphanumeric(),
        SpecialCharacters(),
        CharacterRepetition(),
        WordRepetition(),
    ],
)
def test_without_bounds_a_step_only_measures(step: RowStep) -> None:
    batch = text_records("", AGAIN, "!!!", None)
    answer = answers(step, batch)
    assert answer["drop"] == [STAYS] * 4
    assert answers(step, batch[1:3]) == {name: column[1:3] for name, column in answer.items()}
    assert answers(step, pa.concat_tables([batch, batch])) == {n: c * 2 for n, c in answer.items()}
    assert answers(step, batch[:0]) == {name: [] for name in answer}


def test_the_texts_of_a_record_are_measured_together() -> None:
    answer = [
        {"kind": "text", "text": "two words"},
        {"kind": "image", "media": 0},
        {"kind": "text", "text": "and three more"},
    ]
    batch = record.from_rows([{"key": "0", "content": answer}], "made", "interleaved")
    assert answers(Words(), batch)["count"] == [5]
    assert answers(Characters(), batch)["count"] == [len("two words\nand three more")]


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (Words, {"min": 5, "max": 3}),
        (Words, {"min": -1}),
        (Alphanumeric, {"max": 1.5}),
        (Alphanumeric, {"min": 0.5, "max": 0.25}),
        (CharacterRepetition, {"n": 0}),
        (WordRepetition, {"maximum": 0.2}),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    step: type[RowStep], settings: dict[str, float]
) -> None:
    with pytest.raises(ValidationError):
        step.model_validate(settings)
