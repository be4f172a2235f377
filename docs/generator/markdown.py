"""Text as Markdown: cells of tables, code, links to headings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`"


def codes(names: Iterable[str]) -> str:
    """`codes(["min", "max"]) -> "`min`, `max`"`."""
    return ", ".join(map(code, names))


def plain(value: object) -> str:
    """As YAML has it on one line: `plain(["en", None]) -> "[en, null]"`."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {plain(v)}' for name, v in value.items())}}}"
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """A `|` would end the cell, a line break the row."""
    return " ".join(text.replace("|", "\\|").split())
