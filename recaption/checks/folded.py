"""Texts in a form in which they are compared: without case, widths of characters and runs of
spaces."""

from __future__ import annotations

import unicodedata


class _Folds(dict[int, str]):
    """The folded form of each character, found when it is first needed."""

    def __missing__(self, code: int) -> str:
        self[code] = found = unicodedata.normalize("NFKD", chr(code)).casefold()
        return found


_FOLDS = _Folds({0x2019: "'"})  # the typographic apostrophe


def folded(text: str) -> str:
    """Returns a text without case and runs of spaces, its characters in compatibility form
    (NFKD). Marks of a character keep their order, because ordering them takes quadratic time.

    `folded(" Ｃａｆé  au\\nlait") == folded("CAFÉ au lait")`
    """
    return " ".join(text.translate(_FOLDS).split())
