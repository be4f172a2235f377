"""The checks of replies: what they find, what they leave alone, and that no text stops them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.step import Reply
from recaption.checks import FAULTS, Asked, fault_of, kept_names, kept_numbers, text_fault
from recaption.checks.folded import folded
from recaption.checks.languages import is_other_language
from recaption.checks.refusals import PHRASES
from recaption.prompts import Expects, Prompt, load_prompt, prompt_file

CAPTION = load_prompt(prompt_file("caption", ""))
OCR = load_prompt(prompt_file("ocr_refinement", ""))
TEXTS = yaml.safe_load(Path(__file__).with_name("replies.yaml").read_text("utf-8"))
HONEST: dict[str, str] = TEXTS["honest"]
REFUSALS: dict[str, str] = TEXTS["refusals"]
DOCS = Path("docs/models-in-the-loop.md").read_text("utf-8")


def fault(
    text: str, raw_text: str = "", language: str | None = None, prompt: Prompt = CAPTION
) -> str | None:
    asked = Asked(raw_text, prompt.pieces(), prompt.expects, language)
    return text_fault(Reply(text, "stop", ""), asked)


def documented() -> dict[str, str]:
    """The faults in the table of the documentation, and their examples."""
    rows = re.findall(r"^\| `([\w ]+)` \| [^|]+ \|(.*) \|$", DOCS, re.MULTILINE)
    return {name: example.strip() for name, example in rows if name in FAULTS}


def test_the_documentation_has_all_faults_with_an_example_that_is_found() -> None:
    rows = documented()
    assert tuple(rows) == FAULTS
    for name, example in rows.items():
        if found := re.fullmatch(r"`(.+)`(?: (\d+) times| for (English))?", example):
            text = found[1] * int(found[2] or 1)
            assert fault(text, language="en" if found[3] else None) == name, text


@pytest.mark.parametrize("language", HONEST)
def test_honest_descriptions_have_no_fault(language: str) -> None:
    assert fault(HONEST[language], "another text", language) is None


def test_a_reply_in_another_language_is_found_and_a_mixture_is_not_judged() -> None:
    assert fault(HONEST["zh"], language="en") == "wrong language"
    assert fault(HONEST["de"], language="en") == "wrong language"
    assert fault(HONEST["fr"], language="zh-Hans") == "wrong language"
    assert [fault(TEXTS["mixed"], language=tag) for tag in ("zh", "en")] == [None, None]
    assert fault(f"{HONEST['zh']} BMW", language="en") == "wrong language"
    assert fault(f"{HONEST['de']} {HONEST['zh'][:90]}", language="en") is None  # mixed
    assert fault("Ein roter Hund im Feld.", language="en") is None  # too short to be certain
    assert fault(HONEST["de"], language="tlh") is None


def test_a_refusal_is_found_in_each_language_that_has_phrases() -> None:
    assert set(yaml.safe_load(PHRASES.read_text("utf-8"))) == set(REFUSALS)
    for text in REFUSALS.values():
        assert fault(text) == "refusal", text
        assert fault_of(Reply(text, "stop", "")) == "refusal"
        assert fault(f"The sign in the image says: {text}") is None


@pytest.mark.parametrize(
    "text",
    ["# Barn\nA barn.", "- a barn\n- a field", "1. a barn\n\n2. a field", "```\nA barn.\n```",
     "<p>A barn in a field.</p>", "A **red** barn in a field.", "A barn.\n<br/>\nA field."],
)  # fmt: skip
def test_markup_is_a_fault_unless_the_prompt_allows_it(text: str) -> None:
    assert fault(text + " It is a long text.") == "markup"
    assert fault(text, prompt=OCR) is None


@pytest.mark.parametrize(
    "text",
    ["Sure! Here's the caption:\nA barn.", "以下是对图片的详细描述:一个红色的谷仓。",
     "Certainly, I will describe it. A barn.", "**Image description:** a barn"],
)  # fmt: skip
def test_a_preamble_is_a_fault(text: str) -> None:
    assert fault(text) == "preamble"


def test_what_the_text_of_an_ocr_model_has_is_no_fault_of_its_refinement() -> None:
    reading = "[INST] Sorry, I closed the shop. <think> 0 0 0"
    assert fault(reading, reading, prompt=OCR) is None
    assert fault(reading, "INST", prompt=OCR) == "role tokens"
    assert fault(reading, reading) == "role tokens"
    assert fault("A total of 5", "A total of 5") == "copy of the text"
    assert fault("Here is the corrected text: total", "t0tal", prompt=OCR) == "preamble"
    assert [fault("", raw_text, prompt=OCR) for raw_text in ("", "t0tal")] == ["empty", "empty"]


def test_the_length_that_a_prompt_expects_is_inclusive() -> None:
    prompt = Prompt(name="own", version=1, text="x", expects=Expects(min_chars=5, max_chars=7))
    found = {length: fault("a" * length, prompt=prompt) for length in range(4, 9)}
    assert found == {4: "too short", 5: None, 6: None, 7: None, 8: "too long"}


def test_a_copy_is_found_with_other_characters_of_the_same_text() -> None:
    assert fault("\uff21  CAFÉ  in Paris, France", "a cafe\u0301 in paris, france") == (
        "copy of the text"
    )


def test_pieces_of_a_prompt_are_those_around_its_placeholders() -> None:
    text = "Rewrite {raw_text} as one sentence that a child can understand.\nShort."
    prompt = Prompt(name="own", version=1, system="You write.", text=text)
    assert prompt.pieces() == (
        "You write.", "Rewrite ", " as one sentence that a child can understand.", "Short.",
    )  # fmt: skip
    assert fault("As one sentence that a child can understand.", prompt=prompt) == (
        "copy of the prompt"
    )


def test_the_language_counts_only_if_the_prompt_asks_for_it() -> None:
    names = ("caption", "knowledge", "ocr_refinement", "video")
    asks = [load_prompt(prompt_file(name, "")).asks_for_language for name in names]
    assert asks == [True, True, False, True]


NUMBERS = [
    ("1,000 parts of 1923, and ٣", "3 of the 1000 parts (1923)", 1.0),
    ("12.05.2020", "in 2020", 1 / 3),
    ("no number", "5", None),
    ("3 and 4", "none", 0.0),
    ("007", "7", 1.0),
]


@pytest.mark.parametrize(("old", "new", "share"), NUMBERS)
def test_kept_numbers_is_a_share(old: str, new: str, share: float | None) -> None:
    assert kept_numbers(old, new) == share


NAMES = [
    ("The tower in Paris was built by Gustave Eiffel.", "a tower by gustave EIFFEL", "fr", 2 / 3),
    ("Red Shoes For Women In Paris", "Paris", "en", None),
    ("Der Turm steht in Paris", "Paris", "de", None),
    ("一辆BMW汽车停在电影《红楼梦》的海报前面", "BMW 汽车", "zh", 0.5),
    ("一辆汽车", "汽车", "zh", None),
]


@pytest.mark.parametrize(("old", "new", "language", "share"), NAMES)
def test_kept_names_is_a_share(old: str, new: str, language: str, share: float | None) -> None:
    assert kept_names(old, new, language) == share


LANGUAGES = st.sampled_from(["en", "zh", "ja", "ar", "x-klingon", None])


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(), LANGUAGES)
def test_no_text_makes_a_check_fail(text: str, raw_text: str, language: str | None) -> None:
    for prompt in (CAPTION, OCR):
        assert fault(text, raw_text, language, prompt) in (None, *FAULTS)
        assert fault(text * 40, raw_text, language, prompt) in (None, *FAULTS)
    assert folded(text) == folded(f" {text}\n")
    for share in (kept_numbers(raw_text, text), kept_names(raw_text, text, language)):
        assert share is None or 0 <= share <= 1


PIECES = [
    "a\u0301\u0316", "\u0301\u0316", "<p ", "**a ", "- a\n", "1. ", "\n", "- a\n\n\n", "   \n", "[",
    '{"a":', "1", "1,", "111,", "A a ", "A.", "A&-", "《", "a''", "caption ", "i'm ", "<|a",
    "- \n \n", " ", "A(", "中文", "1'000'", "Bob Ann",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_reply_of_a_megabyte_is_checked_in_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        text = f"Here is A {piece * (size // len(piece))}x"
        started = time.process_time()
        for check in (fault(text, f"b {text}", "en"), fault(text, text, "en", OCR)):
            assert check in (None, *FAULTS)
        kept_numbers(text, "x")
        kept_names(text, text)
        return time.process_time() - started

    seconds(1 << 10)
    assert seconds(1 << 20) < 30  # a quadratic check takes hours


def test_captions_of_people_have_no_fault(real_data: Path) -> None:
    captions = sorted({text for text in _captions(real_data) if len(text) >= 60})
    assert [one for one in captions if fault(one, language="en")] == []
    alt_texts = sorted({text for text in _alt_texts(real_data) if len(text) >= 100})
    bad = {text: fault(text) for text in alt_texts if fault(text)}
    assert all(text.startswith(("<a ", "<div ")) or "\ufffd" in text for text in bad)
    assert sorted(bad.values()) == ["broken characters", "markup", "markup", "markup"]
    figures = (
        f"{len(captions)} captions of at least 60 characters (OpenStax, COCO, SugarCrepe) and "
    )
    figures += f"{len(alt_texts)} of at least 100 characters (LAION), it objected to none of the "
    assert f"{figures}first, and to {len(bad)} of LAION's" in " ".join(DOCS.split())


def test_texts_in_their_own_language_have_no_fault(real_data: Path) -> None:
    pieces = []
    for folder, language in TEXTS["tesseract"].items():
        path = real_data / f"ocr/langdata_training_text/{folder}/{folder}.training_text"
        text = " ".join(path.read_text("utf-8", "replace").split())[:120_000]
        pieces += [(text[n : n + 300], language) for n in range(0, len(text) - 300, 300)]
    assert [piece for piece in pieces if is_other_language(*piece)] == []
    figures = f"Of {len(pieces)} pieces of 300 characters of the training texts of Tesseract in "
    figures += f"{len(set(TEXTS['tesseract'].values()))} languages"
    assert figures in " ".join(DOCS.split())


def _captions(data: Path) -> list[str]:
    books = sorted((data / "captions/openstax").glob("*.captions.jsonl"))
    rows = [json.loads(line) for book in books for line in book.open("rb")]
    texts = [row[name] for row in rows for name in ("alt", "caption_no_credit") if row[name]]
    for path in sorted((data / "captions/sugarcrepe/data").glob("*.json")):
        texts += [row["caption"] for row in json.loads(path.read_text("utf-8")).values()]
    for path in sorted((data / "grounding/coco_permissive/annotations").glob("*.json")):
        notes = json.loads(path.read_text("utf-8"))["annotations"]
        texts += [note["caption"] for note in notes if "caption" in note]
    return [text.strip() for text in texts]


def _alt_texts(data: Path) -> list[str]:
    files = sorted((data / "captions/img2dataset_tests/test_files").glob("test_*.parquet"))
    columns = [
        table[name].to_pylist()
        for table in map(pq.read_table, files)
        for name in table.column_names
        if name.lower() in ("text", "caption", "top_caption")
    ]
    return [text.strip() for column in columns for text in column if text]
