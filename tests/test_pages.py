"""The pages on readers and steps name all there are, with their settings, measures and presets."""

from __future__ import annotations

import re
from pathlib import Path

from curate import catalog
from filters.presets import PRESETS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """A table of a page by its first column, in code quotes; `heading` is that of this column."""
    _, _, table = (DOCS / page).read_text().partition(f"| {heading} |")
    lines = [line for line in table.split("\n\n")[0].splitlines() if line.startswith("| `")]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {first.strip("` "): rest for first, *rest in cells}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_the_page_on_readers_names_each_with_its_settings() -> None:
    told = rows("readers.md", "reader")
    assert list(told) == list(catalog.READERS)
    for name, kind in catalog.readers().items():
        settings = set(kind.model_fields) - {"name", "path"}
        needed = {s for s in settings if kind.model_fields[s].is_required()}
        assert named(told[name][1]) == settings, name
        bold = re.findall(r"\*\*`(\w+)`\*\*", told[name][1])
        assert set(bold) == needed, name


def test_the_page_on_steps_names_each_with_its_settings_and_measures() -> None:
    told = rows("steps.md", "step")
    assert list(told) == list(catalog.STEPS)
    for name in catalog.STEPS:
        kind = catalog.resolve_step(name)
        settings, measures, _ = told[name]
        assert named(settings) == set(kind.model_fields), name
        if measures == "the same five":
            assert set(kind.measures) == set(kind.model_fields)
        else:
            assert named(measures) == {*kind.measures, *kind.rewrites}, name


def test_the_page_on_steps_names_each_preset_with_its_steps_and_numbers() -> None:
    told = rows("steps.md", "preset")
    assert told.keys() == PRESETS.keys()
    for name, preset in PRESETS.items():
        settings = {key: value for step in preset.steps for key, value in step.items()}
        assert named(told[name][0]) == settings.keys(), name
        numbers = (v for s in settings.values() for v in s.values() if isinstance(v, int | float))
        for number in numbers:
            assert re.search(rf"\b{number:g}\b", told[name][0]), (name, number)
