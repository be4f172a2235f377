"""A tokenizer.json: its counts are of the text alone, whatever else the file asks for."""

from __future__ import annotations

import sys

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from manifests.errors import InputError, RowError
from manifests.models import tokenizer_file
from manifests.models.tokenizer_file import tokenizer_from_file

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "a", "red", "car", "[", "]", "cls"]


def word_tokenizer() -> Tokenizer:
    """A tokenizer with special tokens around each text, which cuts and pads texts."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[CLS]", "[SEP]", "[PAD]"])
    made.add_tokens(["<think>"])
    made.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    made.enable_truncation(4)
    made.enable_padding(length=8, pad_id=3, pad_token="[PAD]")
    return made


def test_only_the_tokens_of_the_text_are_counted() -> None:
    assert word_tokenizer().encode("a red car a red car").tokens == [
        "[CLS]", "a", "red", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]",
    ]  # fmt: skip
    counting = tokenizer_from_file(word_tokenizer().to_str().encode(), "tokenizer.json")
    texts = ("", "a red car a red car", "a [CLS]", "a <think>")
    assert [counting.count(text) for text in texts] == [0, 6, 4, 2]


def test_a_text_over_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_file, "_MAX_CHARACTERS", 5)
    counting = tokenizer_from_file(word_tokenizer().to_str().encode(), "tokenizer.json")
    assert counting.count("a red") == 2
    with pytest.raises(RowError, match=r"has 9 characters; .* only in texts of up to 5"):
        counting.count("a red car")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version": "1.0", "model": {"type": "X"}}'])
def test_a_file_of_another_kind_is_named(data: bytes) -> None:
    with pytest.raises(InputError, match=r"own.json: this is not a tokenizer.json: .*published"):
        tokenizer_from_file(data, "own.json")


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"tokenizers is not installed. Run: pip install"):
        tokenizer_from_file(b"{}", "tokenizer.json")
