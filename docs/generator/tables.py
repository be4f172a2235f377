"""Tables with one row for each reader, step, preset, and column of a record."""

from __future__ import annotations

from curate import catalog
from curate.commands.manual import first_line
from curate.commands.steps import shape
from curate.recipe.presets import load_presets
from docs.generator.markdown import code, codes, plain, table
from manifests.record import FIELDS
from manifests.step import Step

OF_EVERY_READER = ("name", "path", "exclude")


def readers() -> str:
    """Required settings are in bold."""
    rows = []
    for name, kind in catalog.readers().items():
        fields = {n: f for n, f in kind.model_fields.items() if n not in OF_EVERY_READER}
        settings = (f"**{code(n)}**" if f.is_required() else code(n) for n, f in fields.items())
        link = f"[{code(name)}](readers-reference.md#{name})"
        rows.append((link, first_line(kind), ", ".join(kind.modalities), ", ".join(settings)))
    return table(("reader", "what it reads", "modality", "settings"), rows)


def steps() -> str:
    rows = []
    for name in catalog.STEPS:
        kind = catalog.resolve_step(name)
        link = f"[{code(name)}](steps-reference.md#{name})"
        rows.append((link, shape(kind), first_line(kind), codes(kind.model_fields), adds(kind)))
    return table(("step", "shape", "what it does", "settings", "adds"), rows)


def adds(kind: type[Step]) -> str:
    """The measures of a step, and the columns of the record that it rewrites."""
    rewrites = f"rewrites {codes(kind.rewrites)}" if kind.rewrites else ""
    return "; ".join(filter(None, (codes(kind.model_construct().measures()), rewrites)))


def presets() -> str:
    rows = []
    for name, preset in load_presets().items():
        given = [_given(step, value) for each in preset.steps for step, value in each.items()]
        link = f"[{code(name)}](presets.md#{name})"
        rows.append((link, preset.description, ", ".join(given)))
    return table(("preset", "what it is", "steps"), rows)


def _given(step: str, settings: dict[str, object]) -> str:
    return code(f"{step}: {{{', '.join(f'{n}: {plain(v)}' for n, v in settings.items())}}}")


def record_columns() -> str:
    """Name, type and meaning of each column of a record."""
    rows = [(code(f.name), str(f.type).split("<")[0], f.meaning) for f in FIELDS]
    return table(("column", "type", "meaning"), rows)
