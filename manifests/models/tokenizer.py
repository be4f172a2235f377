"""What every tokenizer of this package can do."""

from __future__ import annotations

from typing import Protocol

INSTALL = "Run: pip install 'curate[tokens]'"


class Tokenizer(Protocol):
    """Counts the tokens of texts, one text at a time, in one thread.

    Special tokens in a text, such as `<|im_end|>`, are counted as the plain text that they are.
    """

    def count(self, text: str) -> int:
        """Returns the number of tokens of a text, without special tokens around it; 0 for an empty
        text. Raises RowError for a text that cannot be counted."""
        ...
