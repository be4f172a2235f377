"""The width of texts in the columns of a terminal."""

from __future__ import annotations

import unicodedata

from manifests.visible import on_one_line


def shown_width(text: str) -> int:
    """Return how many columns a text takes: a wide character, such as 漢, takes two; a combining
    mark takes none (Unicode Standard Annex 11)."""
    return sum(map(_columns, text))


def fitted(text: str, width: int) -> str:
    """Return the text on one line of exactly `width` columns. A longer text is cut and ends with
    "…"; a shorter text is filled with spaces."""
    line = on_one_line(" ".join(text.split()))
    if shown_width(line) > width:
        kept, used = [], 1
        for character in line:
            used += _columns(character)
            if used > width:
                break
            kept.append(character)
        line = "".join(kept).rstrip() + "…"
    return line + " " * (width - shown_width(line))


def fitted_end(text: str, width: int) -> str:
    """Return the text as `fitted` does, but cut the start of a longer text, so that its end, such
    as the name of a file, stays."""
    if shown_width(on_one_line(text)) <= width:
        return fitted(text, width)
    kept, used = [], 1
    for character in reversed(on_one_line(text)):
        used += _columns(character)
        if used > width:
            break
        kept.append(character)
    return fitted("…" + "".join(reversed(kept)), width)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
