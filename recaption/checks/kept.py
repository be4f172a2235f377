"""Measures which shares of the numbers and names in an old text occur in a new text too. A missing
number or name is not a fault: a good description may leave out what the image does not show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recaption.checks.folded import folded

_GROUPED = re.compile(
    r"(?<![\d.,])\d{1,3}(?:([.,'\u2019\u066c\u00a0\u202f])\d{3})(?:\1\d{3})*(?![\d])"
)
_DIGITS = re.compile(r"\d+")
_LATIN_WORD = re.compile(r"(?<![A-Za-z])[A-Z][A-Za-z0-9.&-]*[A-Za-z0-9](?![A-Za-z])")
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_SENTENCE_END = re.compile(r"[.!?:;\u2026\"\u201c\u201d\u201e\u00ab\u00bb()\[\]|\n\u2022/*-]\s*$")
_TITLE = re.compile(r"\u300a([^\u300a\u300b\n]{1,60})\u300b")
_UNCASED = re.compile(r"[\u0590-\u10cf\u1100-\u1cff\u3040-\ud7ff\uf900-\ufaff]")
_MAX_CAPITALS = 0.5
"""If a larger share of the words inside sentences begins with a capital letter, the text is taken
for a title, and no names are looked for (our choice)."""
_MAX_NAMES = 100
"""At most this many different names of a text are compared, the first ones (our choice)."""
_NO_NAMES = ("de", "lb")
"""Languages that write all nouns with a capital letter."""
_LONG_NUMBER = 40
"""Numbers with so many digits are compared as text, because `int` takes long for them (our
choice)."""


def kept_numbers(raw_text: str, text: str) -> float | None:
    """Returns the share of the different numbers in `raw_text` that `text` contains too; None if
    `raw_text` has no number.

    The digits of different scripts count as equal, and 1,000 equals 1000. Numbers in words are not
    found.
    """
    return _share(_numbers(raw_text), _numbers(text))


def kept_names(raw_text: str, text: str, language: str | None = None) -> float | None:
    """Returns the share of the different names in `raw_text` that `text` contains too; None if no
    names are found in `raw_text`.

    Names are the words with a capital letter that are not the first word of a sentence. If the
    script has no capitals, such as Chinese, they are the Latin words with a capital letter, and the
    titles in 《》. No names are looked for in German and Luxembourgish, nor in a text in which most
    words have a capital letter.
    """
    plain = folded(text)
    names = set(list(dict.fromkeys(_names(raw_text, language)))[:_MAX_NAMES])
    return _share(names, {name for name in names if name in plain})


def _share(wanted: set[str], found: set[str]) -> float | None:
    return len(wanted & found) / len(wanted) if wanted else None


def _numbers(text: str) -> set[str]:
    joined = _GROUPED.sub(lambda group: "".join(_DIGITS.findall(group[0])), text)
    found = _DIGITS.findall(joined)
    return {str(int(digits)) if len(digits) < _LONG_NUMBER else digits for digits in found}


def _names(text: str, language: str | None) -> Iterator[str]:
    if len(_UNCASED.findall(text)) * 2 > len(text.replace(" ", "")):
        yield from map(folded, (*_TITLE.findall(text), *_LATIN_WORD.findall(text)))
        return
    inside = [word[0] for word in _WORD.finditer(text) if _is_inside(text, word.start())]
    capitals = [word for word in inside if word[0].isupper()]
    if (language or "").split("-")[0] in _NO_NAMES or len(capitals) > _MAX_CAPITALS * len(inside):
        return
    yield from map(folded, capitals)


def _is_inside(text: str, start: int) -> bool:
    """Returns whether the word at `start` is not the first word of a sentence."""
    return start > 0 and not _SENTENCE_END.search(text, max(0, start - 4), start)
