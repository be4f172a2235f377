"""Splits texts into the tokens that a text model expects, with the model's tokenizer.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from manifests.errors import InputError
from manifests.models.tokenizer_file import library_tokenizer

CHARACTERS_PER_TOKEN = 64
"""A text is cut to so many characters for each token that is kept, before it is encoded (our
choice). Tokens have about 4 characters, and the library takes a text in one piece."""


class Tokens(NamedTuple):
    """The tokens of one text: their ids, and the numbers of the segments that they are in."""

    ids: list[int]
    types: list[int]


class TextTokens:
    """Turns texts into tokens. `special`: whether the special tokens of the tokenizer.json, such as
    [CLS], are added. Of a longer text only the first `max_tokens` tokens are kept, special ones
    included. Nothing is padded, whatever the file states."""

    def __init__(self, data: bytes, place: str, max_tokens: int, special: bool = True) -> None:
        self._tokenizer, self._special = library_tokenizer(data, place), special
        padding = self._tokenizer.padding or {}
        self.padding_id: int | None = padding.get("pad_id")
        self._tokenizer.no_padding()
        added = self._tokenizer.num_special_tokens_to_add(False) if special else 0
        if max_tokens <= added:
            raise InputError(
                f"max_tokens is {max_tokens}, but the tokenizer adds {added} special tokens",
                place,
                f"Set max_tokens to {added + 1} or more.",
            )
        self._tokenizer.enable_truncation(max_tokens)
        self._max_characters = CHARACTERS_PER_TOKEN * max_tokens

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        cut = [text[: self._max_characters] for text in texts]
        found = self._tokenizer.encode_batch_fast(cut, add_special_tokens=self._special)
        return [Tokens(one.ids, one.type_ids) for one in found]
