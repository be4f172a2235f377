"""Decides whether quotes in a TSV enclose fields, as in files that pandas writes, or are part of
the texts, as in captions from the web."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from curate.ingest.formats.csv_rows import complete_row, is_complete
from manifests.errors import FileError
from manifests.storage import File

Quotes = Literal["doubled", "none"]
"""How fields are quoted. `doubled`: a field may be in quotes, and the quotes within it are doubled.
`none`: a quote is a character like others."""
QUOTES_DESCRIPTION = (
    "how fields are quoted. `doubled`: a field may be in quotes, and quotes inside it are "
    "doubled; `none`: a quote is an ordinary character; null: `doubled` for a CSV, detected "
    "from the lines for a TSV"
)
MAX_MINORITY = 0.01
"""Largest share of lines that contradict the others (our choice). With a larger share, the file can
be read in both ways, and is quarantined."""
_MAX_LINES = 1000
"""Largest number of consecutive lines that may be one row with a quoted field (our choice)."""


class _Evidence(NamedTuple):
    """What a few consecutive lines show about the quotes in their file. `quotes` is None if the
    lines show nothing. `lines` is the number of the consecutive lines."""

    quotes: Quotes | None
    lines: int = 1


def quotes_of(lines: Iterator[tuple[int, bytes]], width: int | None, file: File) -> Quotes:
    """Decides how the fields of a TSV are quoted, from all of its lines that have quotes. The
    result is `none` if no line shows that quotes enclose fields, or that they belong to the text.

    `width` is the number of columns. If `width` is None, the table has two columns, and a text that
    is not quoted may contain tabs. A line `a "b"<tab>c` is evidence for `none`, because a program
    that quotes fields would quote the first field; `"a ""b"" d"<tab>c` is evidence for `doubled`,
    and so is a quoted field with a tab or a newline. Some lines may be evidence for `doubled` and
    other lines for `none`. Then the larger number of lines decides, but FileError is raised if the
    share of the smaller number is above MAX_MINORITY.
    """
    found: dict[Quotes, list[int]] = {"doubled": [], "none": []}
    again = deque[tuple[int, bytes]]()
    while (item := again.popleft() if again else next(lines, None)) is not None:
        if b'"' in item[1]:
            held = [item]
            evidence = _evidence(held, again, lines, width)
            again.extendleft(reversed(held[evidence.lines :]))
            if evidence.quotes is not None:
                found[evidence.quotes].append(item[0])
    return _decide(found["doubled"], found["none"], file)


def _decide(doubled: list[int], none: list[int], file: File) -> Quotes:
    if min(len(doubled), len(none)) > MAX_MINORITY * (len(doubled) + len(none)):
        fault = (
            "the file uses quotes in two ways: around whole fields, with inner quotes doubled "
            f"(line {doubled[0]}), and as ordinary characters of the text (line {none[0]})."
        )
        fix = "Look at both lines, and set `quotes: doubled` or `quotes: none`."
        raise FileError(fault, file.uri, fix)
    return "doubled" if len(doubled) > len(none) else "none"


def _evidence(
    held: list[tuple[int, bytes]],
    again: deque[tuple[int, bytes]],
    lines: Iterator[tuple[int, bytes]],
    width: int | None,
) -> _Evidence:
    """Returns what the first line in `held` shows about the quotes in the file. If this line may
    start a quoted field with newlines, the lines of the field are appended to `held`; they are
    taken from `again` (lines that were looked at before), then from `lines`."""
    text = _text(held[0][1])
    is_plain = _is_plain(text, width)
    if not any(field.startswith('"') for field in text.split("\t")):
        return _Evidence("none" if is_plain else None)
    is_open, texts = text.count('"') % 2, [text]
    while is_open and len(held) < _MAX_LINES:
        following = again.popleft() if again else next(lines, None)
        if following is None:
            break
        held.append(following)
        texts.append(_text(following[1]))
        is_open ^= texts[-1].count('"') % 2
    text, are_plain = "\n".join(texts), all(_is_plain(line, width) for line in texts)
    is_quoted = is_complete(text, "\t") and len(complete_row(text, "\t")) == (width or 2)
    if not is_quoted:
        return _Evidence("none" if is_plain else None)
    if not are_plain or (len(held) == 1 and _needs_quotes(text)):
        return _Evidence("doubled", len(held))
    return _Evidence(None)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _is_plain(line: str, width: int | None) -> bool:
    """Whether a line can be a row of `width` fields without quotes: it must have one tab less than
    fields. If `width` is None, one or more tabs are enough."""
    tabs = line.count("\t")
    return tabs > 0 if width is None else tabs == width - 1


def _needs_quotes(row: str) -> bool:
    """Whether a complete row has a quoted field that contains a tab or quotes, or whether all its
    fields are quoted."""
    fields = complete_row(row, "\t")
    return all(field.startswith('"') for field in fields) or any(
        field.startswith('"') and ("\t" in field or '"' in field[1:-1]) for field in fields
    )
