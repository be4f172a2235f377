"""The manual of each reader, step and preset: its docstring, its settings, what it adds."""

from __future__ import annotations

import inspect
import re

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from curate import catalog
from curate.commands.manual import fields
from curate.commands.steps import shape
from curate.recipe.presets import load_presets
from docs.generator.markdown import code, codes, plain, table
from docs.generator.tables import OF_EVERY_READER, adds


def readers() -> str:
    parts = []
    for name, kind in catalog.readers().items():
        endings = codes(kind.suffixes) or "any"
        made = " or ".join(map(code, kind.modalities))
        facts = f"Makes {made} records. Endings of files: {endings}."
        parts.append(_manual(name, kind, facts, skip=OF_EVERY_READER))
    return "\n\n".join(parts)


def steps() -> str:
    parts = []
    for name in catalog.STEPS:
        kind = catalog.resolve_step(name)
        facts = f"Shape: {shape(kind)}. Version: {kind.version}. Adds: {adds(kind) or 'nothing'}."
        parts.append(_manual(name, kind, facts))
    return "\n\n".join(parts)


def _manual(name: str, kind: type[BaseModel], facts: str, skip: tuple[str, ...] = ()) -> str:
    rows = [
        (code(setting), type_, _default(kind.model_fields[setting]), meaning)
        for setting, type_, _, meaning in fields(kind)
        if setting not in skip
    ]
    settings = table(("setting", "type", "default", "meaning"), rows) if rows else "No settings."
    return f"## {name}\n\n{_text(kind)}\n\n{facts}\n\n{settings}"


def _default(field: FieldInfo) -> str:
    """As a recipe would set it; a required setting has none."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return code(plain(default.model_dump() if isinstance(default, BaseModel) else default))


def _text(kind: type[BaseModel]) -> str:
    """The docstring as Markdown: `<` outside of code and indented examples would begin a tag of
    HTML."""
    pieces = re.split(r"(^ {4}.*$|`[^`]*`)", inspect.getdoc(kind) or "", flags=re.MULTILINE)
    is_code = [piece.startswith(("    ", "`")) for piece in pieces]
    escaped = [piece.replace("<", "&lt;") for piece in pieces]
    return "".join(p if code else e for p, code, e in zip(pieces, is_code, escaped, strict=True))


def presets() -> str:
    parts = []
    for name, preset in load_presets().items():
        rows = [(code(n), e.kind, e.where, e.differs) for n, e in preset.evidence.items()]
        evidence = table(("setting", "evidence", "where", "our measure differs"), rows)
        text = f"## {name}\n\n{preset.description}\n\n{evidence}"
        if preset.left_out:
            rules = "\n".join(f"* {rule}" for rule in preset.left_out)
            text += f"\n\nPublished rules that no step measures yet:\n\n{rules}"
        parts.append(text)
    return "\n\n".join(parts)
