"""`curate steps`: list all steps and presets, or print the manual page of one."""

from __future__ import annotations

import argparse
import json

from curate import catalog
from curate.commands.manual import fill, first_line, page
from curate.commands.tables import table
from curate.recipe.presets import Preset, load_presets
from manifests.errors import RecipeError
from manifests.step import CorpusStep, RequestStep, ReshapeStep, Step
from manifests.step.spelling import nearest


def main(options: argparse.Namespace) -> int:
    if options.name is None:
        return _list(options.json)
    if options.name in load_presets():
        preset = load_presets()[options.name]
        print(_preset_json(preset) if options.json else _preset(options.name, preset))
        return 0
    if options.name not in catalog.STEPS and ":" not in options.name:
        known = [*catalog.STEPS, *load_presets()]
        raise RecipeError(f"no step named '{options.name}'.", fix=nearest(options.name, known))
    kind = catalog.resolve_step(options.name)
    print(
        json.dumps(kind.model_json_schema(), indent=1)
        if options.json
        else _page(options.name, kind)
    )
    return 0


def _list(as_json: bool) -> int:
    kinds = {name: catalog.resolve_step(name) for name in catalog.STEPS}
    if as_json:
        print(json.dumps({name: first_line(kind) for name, kind in kinds.items()}, indent=1))
        return 0
    rows = [(name, shape(kind), first_line(kind)) for name, kind in kinds.items()]
    print(table(("step", "shape", "what it does"), rows))
    print()
    print(table(("preset", "what it is"), [(n, p.description) for n, p in load_presets().items()]))
    print("\nMore: curate steps NAME. In a recipe: `- NAME: {settings}`, or `- preset: NAME`.")
    return 0


def shape(kind: type[Step]) -> str:
    if issubclass(kind, CorpusStep):
        return "corpus"
    if issubclass(kind, RequestStep):
        return "request"
    return "reshape" if issubclass(kind, ReshapeStep) else "row"


def _page(name: str, kind: type[Step]) -> str:
    adds = [*_measures(name, kind), *(f"{column} (rewritten)" for column in kind.rewrites)]
    facts = [
        f"shape    {shape(kind)}",
        f"version  {kind.version}",
        fill(", ".join(adds), "adds     "),
    ]
    return page(name, kind, [*facts, "", "Any step takes `only: {column: value}` too."])


def _measures(name: str, kind: type[Step]) -> list[str]:
    """List the measures that a step adds as columns, with their types: `words.count: int64`. If the
    measures depend on a setting without a default value, only this setting is named."""
    short = name.rsplit(":", 1)[-1]
    try:
        measures = kind.model_construct().measures()  # every setting has its default value
    except AttributeError as error:
        if error.name not in kind.model_fields:
            raise
        return [f"measures that depend on the settings ('{error.name}')"]
    return [f"{short}.{measure}: {type_}" for measure, type_ in measures.items()]


def _preset_json(preset: Preset) -> str:
    evidence = {name: why.model_dump() for name, why in preset.evidence.items()}
    found = {"description": preset.description, "steps": preset.steps, "evidence": evidence}
    return json.dumps({**found, "left_out": preset.left_out}, ensure_ascii=False, indent=1)


def _preset(name: str, preset: Preset) -> str:
    lines = [name, "", preset.description, "", "steps:"]
    lines += [f"  - {key}: {json.dumps(s)}" for step in preset.steps for key, s in step.items()]
    lines += ["", "evidence:"]
    for setting, why in preset.evidence.items():
        lines.append(f"  {setting}: {why.kind}, {why.where}")
        lines += [f"    differs: {why.differs}"] if why.differs else []
    if preset.left_out:
        lines += ["", "published rules that the preset does not have:"]
        lines += [f"  {rule}" for rule in preset.left_out]
    return "\n".join(lines)
