"""Builds the manual page of a step or reader: its docstring, and a table of its settings."""

from __future__ import annotations

import inspect
import textwrap

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from curate.commands.tables import table

_LINE = 100
"""The number of characters of a line of a text in a manual page (our choice)."""
_DEFAULT_CHARACTERS = 40
"""A default value with more characters is printed below the table of settings (our choice)."""
_MEANING = 40
"""The smallest width of the column with the meanings of settings (our choice)."""
_INDENTED = "  "


def first_line(kind: type[BaseModel]) -> str:
    """The first sentence of a class's docstring, without its full stop; "" if it has none."""
    return (
        " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    )


def page(name: str, kind: type[BaseModel], facts: list[str]) -> str:
    """The manual page as text: name, docstring, `facts` (further lines) and settings."""
    parts = [name, "", inspect.getdoc(kind) or "", "", *facts, ""]
    settings = fields(kind)
    if not settings:
        return "\n".join([*parts, "There are no settings."])
    long = {row[0]: row[2] for row in settings if len(row[2]) > _DEFAULT_CHARACTERS}
    shown = [(n, kind_, "(below)" if n in long else d, m) for n, kind_, d, m in settings]
    parts.append(_settings(shown))
    for setting, default in long.items():
        parts += ["", f"default of {setting}:", fill(default, _INDENTED)]
    return "\n".join(parts)


def _settings(rows: list[tuple[str, str, str, str]]) -> str:
    """Format the table of settings. A long meaning is wrapped into several lines."""
    used = sum(max(map(len, column)) + 2 for column in list(zip(*rows, strict=True))[:3])
    lines: list[tuple[str, str, str, str]] = []
    for setting, type_, default, meaning in rows:
        first, *others = textwrap.wrap(meaning, max(_LINE - used, _MEANING)) or [""]
        lines += [(setting, type_, default, first), *(("", "", "", line) for line in others)]
    return table(("setting", "type", "default", "meaning"), lines)


def fill(text: str, first: str) -> str:
    """Wrap a text into lines of at most _LINE characters. The first line begins with `first`, the
    others with as many spaces."""
    return textwrap.fill(
        text,
        _LINE,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def fields(kind: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """The name, type, default and description of each setting."""
    properties = kind.model_json_schema().get("properties", {})
    rows = []
    for name, field in kind.model_fields.items():
        default = field.default if field.default_factory is None else field.get_default(
            call_default_factory=True
        )  # fmt: skip
        if isinstance(default, BaseModel):
            default = default.model_dump(mode="json")
        shown = "(required)" if default is PydanticUndefined else repr(default)
        type_ = _type(properties.get(field.alias or name, {}))
        rows.append((name, type_, shown, field.description or ""))
    return rows


def _type(schema: dict[str, object]) -> str:
    """Describe the type of a setting, given by its JSON Schema: `list of string`, `a|b`, `integer
    or number`."""
    if "anyOf" in schema:
        options = schema["anyOf"]
        assert isinstance(options, list)
        return " or ".join(_type(o) for o in options if o.get("type") != "null")
    if "$ref" in schema:
        return "object"
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))  # type: ignore[call-overload]
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    return str(schema.get("type", "any"))
