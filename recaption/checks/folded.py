"""Converts texts to the form in which they are compared, without differences in case, in the width
of characters and in the number of spaces."""

from __future__ import annotations

import unicodedata


class _Folds(dict[int, str]):
    """The folded form of each character by its code point, computed when it is first needed."""

    def __missing__(self, code: int) -> str:
        self[code] = found = unicodedata.normalize("NFKD", chr(code)).casefold()
        return found


_FOLDS = _Folds({0x2019: "'"})  # the typographic apostrophe


def folded(text: str) -> str:
    """Returns a text in the form in which texts are compared: each character is decomposed (NFKD)
    and case-folded, and words are separated by one space. The accents and other marks of a
    character are not sorted, because that takes quadratic time.

    `folded(" Ｃａｆé  au\\nlait") == folded("CAFÉ au lait")`
    """
    return " ".join(text.translate(_FOLDS).split())
