"""A tokenizer in a file `tokenizer.json`, the format of Hugging Face's library `tokenizers`."""

from __future__ import annotations

from typing import Any

from manifests.errors import InputError, RowError, is_of_environment
from manifests.models.tokenizer import INSTALL, Tokenizer

_COPY = "Use the tokenizer.json that was published with the model."
_MAX_CHARACTERS = 5_000_000
"""The longest text (our choice). The library takes a text in one piece, and needs about 140 bytes
of memory for each character."""


class _FileTokenizer:
    def __init__(self, tokenizer: Any) -> None:
        self._encode = tokenizer.encode

    def count(self, text: str) -> int:
        if len(text) > _MAX_CHARACTERS:
            raise RowError(
                f"the text has {len(text):,} characters; with a tokenizer.json, tokens are counted "
                f"only in texts of up to {_MAX_CHARACTERS:,}",
                fix="Use the tokenizer `qwen`, which has no such limit, or leave the record out.",
            )
        return len(self._encode(text, add_special_tokens=False))


def tokenizer_from_file(data: bytes, place: str) -> Tokenizer:
    """Returns the tokenizer of a tokenizer.json. Truncation and padding, which the file may ask
    for, are turned off. `place` is the path of the file, for errors.

    Raises InputError if the library `tokenizers` is not installed, or cannot read the file.
    """
    tokenizer = library_tokenizer(data, place)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _FileTokenizer(tokenizer)


def library_tokenizer(data: bytes, place: str) -> Any:
    """Returns the tokenizer of a tokenizer.json as an object of the library `tokenizers`. Special
    tokens in a text are encoded as the plain text that they are.

    Raises InputError if the library is not installed, or cannot read the file.
    """
    try:
        from tokenizers import Tokenizer as Library
    except ImportError:
        raise InputError("the library tokenizers is not installed", "tokens", INSTALL) from None
    try:
        tokenizer = Library.from_buffer(data)
    except Exception as error:  # the library raises plain exceptions
        if is_of_environment(error):
            raise
        raise InputError(f"this is not a tokenizer.json: {error}", place, _COPY) from None
    tokenizer.encode_special_tokens = True
    return tokenizer
