"""The tokenizer of Qwen, with the vocabulary that is part of an installed package.

The vocabulary is the file `qwen.tiktoken` of the package dashscope (Apache-2.0); the code of the
package is not run. Its tokens, their ids and their ranks are equal to those of vocab.json and
merges.txt of Qwen2, as published by Qwen (compared file with file; not compared for Qwen3).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from unicodedata import normalize

from manifests.errors import InputError, RowError
from manifests.models.packages import PackagedFile
from manifests.models.tokenizer import INSTALL, Tokenizer

VOCABULARY = PackagedFile(
    "dashscope",
    "2.0.2",
    "dashscope/resources/qwen.tiktoken",
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
    alone=True,
)
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pattern of Qwen's words; no token reaches over the end of a word (published: qwen-agent,
tokenization_qwen.py, PAT_STR)."""

_PIECE = 1 << 16
"""A longer text is counted in pieces of about this many characters (our choice)."""
_MAX_PIECE = 500_000
"""The longest piece in characters (our choice). On a million spaces the regular expressions of
tiktoken overflow their stack; and the time for a word grows faster than its length."""
_END_OF_WORD = re.compile(r"\S(?= )|[^\W_](?=[\s!-/:-@\[-`{-~\u3001\u3002\uff01\uff0c\uff1f])")
"""A place where a word ends by WORDS, whatever the text before and after it."""


class _QwenTokenizer:
    def __init__(self, encoding: Any) -> None:
        self._encode = encoding.encode_ordinary

    def count(self, text: str) -> int:
        # Qwen normalises texts to NFC first (published: the same file, tokenize).
        text = normalize("NFC", text)
        if len(text) <= _PIECE:
            return len(self._encode(text))
        return sum(len(self._encode(piece)) for piece in _pieces(text))


@lru_cache(maxsize=1)
def qwen_tokenizer() -> Tokenizer:
    """Returns the tokenizer, which is made once in a process. Raises InputError if the library
    tiktoken or the vocabulary is not installed."""
    try:
        import tiktoken
    except ImportError:
        raise InputError("the library tiktoken is not installed", "tokens", INSTALL) from None
    ranks = read_ranks(VOCABULARY.read())
    encoding = tiktoken.Encoding("qwen", pat_str=WORDS, mergeable_ranks=ranks, special_tokens={})
    return _QwenTokenizer(encoding)


def read_ranks(data: bytes) -> dict[bytes, int]:
    """Returns the rank of each token from a .tiktoken file, which has a line for each token: the
    token in base64, a space, and its rank. `b"IQ== 0" -> {b"!": 0}`"""
    lines = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def _pieces(text: str) -> Iterator[str]:
    """Cuts a text at ends of words, so that the tokens of the pieces are those of the text."""
    start = 0
    while start < len(text):
        found = _END_OF_WORD.search(text, start + _PIECE)
        end = found.end() if found else len(text)
        if end - start > _MAX_PIECE:
            fault = (
                f"the text has no end of a word from character {start + _PIECE:,} to {end:,}; over "
                f"{_MAX_PIECE - _PIECE:,} characters without one cannot be counted."
            )
            raise RowError(fault, fix="It is hardly text: leave the record out.")
        yield text[start:end]
        start = end
