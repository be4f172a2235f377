"""Builds the manual page of a step or reader: its docstring, and a table of its settings."""

from __future__ import annotations

import inspect

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from curate.commands.tables import table


def first_line(kind: type[BaseModel]) -> str:
    """The first sentence of a class's docstring, without its full stop; "" if it has none."""
    return (
        " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    )


def page(name: str, kind: type[BaseModel], facts: list[str]) -> str:
    """The manual page as text: name, docstring, `facts` (further lines) and settings."""
    parts = [name, "", inspect.getdoc(kind) or "", "", *facts, ""]
    settings = fields(kind)
    parts.append(table(("setting", "type", "default", "meaning"), settings) if settings else
                 "There are no settings.")  # fmt: skip
    return "\n".join(parts)


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
