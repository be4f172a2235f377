"""What the documentation shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from curate import catalog, recipe
from curate.cli import OK
from curate.cli import run as command
from curate.recipe.presets import PRESETS
from tests.engine.corpora import accounts, captions, content, run

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


def test_the_step_of_your_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mysteps.py").write_text(blocks("docs/steps.md", "python")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    captions(tmp_path / "data", files=1, rows=8)
    with open(tmp_path / "data" / "000.jsonl", "a") as out:
        out.write('{"caption": "Why? Who? Where is it now, tell me?", "image": "images/0.jpg"}\n')
    steps = [{"language": {}}, *yaml.safe_load(blocks("docs/steps.md", "yaml")[-1])["steps"]]
    made = run(content(steps=steps), tmp_path, tmp_path / "out")
    assert accounts(made)["Questions"] == (9, 8, {"too many questions": 1}, {})


@pytest.mark.parametrize("page", ["README.md", "docs/recipe.md"])
def test_the_recipes_of_a_page_are_valid(page: str, tmp_path: Path) -> None:
    shown = [text for text in blocks(page, "yaml") if text.startswith("name:")]
    assert shown
    for text in shown:
        (tmp_path / "recipe.yaml").write_text(text)
        recipe.load(str(tmp_path / "recipe.yaml"))


def test_the_commands_of_the_page_are_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/command-line.md").read_text()
    shown = set(re.findall(r"`curate (\w+)", page))
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == OK
    assert shown == set(re.findall(r"^    (\w+)(?: |$)", capsys.readouterr().out, re.M))


def test_every_page_the_readme_names_is_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).is_file(), link


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """A table of a page by its first column, in code quotes; `heading` is that of this column."""
    _, _, table = (ROOT / "docs" / page).read_text().partition(f"| {heading} |")
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
        given = [value for step in settings.values() for value in step.values()]
        numbers = [v for v in given if isinstance(v, int | float) and not isinstance(v, bool)]
        for number in numbers:
            assert re.search(rf"\b{number:g}\b", told[name][0]), (name, number)
