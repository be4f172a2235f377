"""Formats plain text for terminals and logs: tables, sizes and bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

from manifests.visible import on_one_line

SHOWN_CHARACTERS = 72
"""The number of characters of a text that are printed in a line of a list (our choice)."""
SHOWN_VALUES = 8
"""How many values of a long list, such as a vector, are printed (our choice)."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format rows as aligned columns below the titles `head`. A column is right-aligned if its
    first row has a number. Numbers have thousands separators."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [bool(rows) and isinstance(row, int | float) for row in (rows[0] if rows else head)]

    def line(values: Sequence[str]) -> str:
        padded = (
            v.rjust(w) if r else v.ljust(w) for v, w, r in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(list(head)), line(["-" * w for w in widths]), *map(line, cells)])


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else on_one_line(str(value))


def shortened(text: str) -> str:
    """Format a text for a line of a list: on one line, and cut after SHOWN_CHARACTERS."""
    line = on_one_line(" ".join(text.split()))
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"


def shortened_origin(origin: str) -> str:
    """Format an origin for a line of a list: on one line. Of a long origin, only the end is shown;
    `curate explain` finds the record by this end."""
    line = on_one_line(origin)
    return line if len(line) <= SHOWN_CHARACTERS else "…" + line[1 - SHOWN_CHARACTERS :]


def shortened_list(value: object) -> str:
    """Format a value on one line. Of a list with more than SHOWN_VALUES values, such as a vector,
    only the first are shown, and their number: "[1, 0.5, ...] (256 values)"."""
    if not isinstance(value, list) or len(value) <= SHOWN_VALUES:
        return on_one_line(str(value))
    first = (number(v) if isinstance(v, float) else on_one_line(str(v)) for v in value)
    return f"[{', '.join(islice(first, SHOWN_VALUES))}, ...] ({len(value):,} values)"


def number(value: float) -> str:
    """Format a number to four significant digits; from 1000 on, to a whole number:
    0.123456 -> "0.1235", 12345.6 -> "12,346"."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def size(size_bytes: float) -> str:
    """Format a number of bytes: `size(1_250_000) -> "1.2 MB"`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def count(amount: int, noun: str) -> str:
    """Format a number and its noun: (1, "file") -> "1 file", (1200, "row") -> "1,200 rows"."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def bar(share: float, width: int = 40) -> str:
    """Draw a horizontal bar of `share` x `width` characters, exact to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("" if not rest else "▏▎▍▌▋▊▉"[rest - 1])


def without_bytes(value: Any) -> Any:
    """Return a value with all binary values, at any depth, replaced by their size: {"a": [b"xyz"]}
    -> {"a": ["3 bytes"]}."""
    if isinstance(value, dict):
        return {name: without_bytes(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_bytes(one) for one in value]
    return count(len(value), "byte") if isinstance(value, bytes) else value
