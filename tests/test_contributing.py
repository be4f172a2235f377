"""The examples of CONTRIBUTING.md are complete: three files each, and their tests pass."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

from curate import catalog
from docs.generator import tables

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


class Example(NamedTuple):
    """The Python blocks of a section, by their first line: `# path`, or `# catalog, TABLE`."""

    module: str
    table: str
    line: dict[str, str]
    code: dict[str, str]


def example(heading: str) -> Example:
    _, _, section = PAGE.read_text().partition(f"## Example: {heading}\n")
    blocks = re.findall(r"```python\n# (.*?)\n(.*?)```", section.split("\n## ")[0], re.S)
    module, catalog_line, test = blocks
    place, _, table = catalog_line[0].partition(", ")
    assert place == "curate/catalog.py"
    line = ast.literal_eval(f"{{{catalog_line[1]}}}")
    name = module[0].removesuffix(".py").replace("/", ".")
    return Example(name, table, line, dict((module, test)))


def install(shown: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the module into its package, and the line into the catalog, for one test."""
    package = importlib.import_module(shown.module.rpartition(".")[0])
    place = folder / package.__name__.replace(".", "/")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    for name, where in shown.line.items():
        monkeypatch.setitem(getattr(catalog, shown.table), name, where)
    for path, code in shown.code.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)


@pytest.mark.parametrize("heading", ["a text filter", "a reader"])
def test_the_example_is_three_files_and_its_tests_pass(
    heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = example(heading)
    install(shown, tmp_path, monkeypatch)
    module, test = shown.code
    assert test == f"tests/{_mirrored(module)}"
    found = {n: f for n, f in runpy.run_path(str(tmp_path / test)).items() if n[:5] == "test_"}
    assert found
    for number, function in enumerate(found.values()):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        function(**({"tmp_path": folder} if inspect.signature(function).parameters else {}))
    (name,) = shown.line
    assert f"[`{name}`]" in (tables.steps() if shown.table == "STEPS" else tables.readers())


def _mirrored(module: str) -> str:
    """`curate/ingest/a.py -> ingest/test_a.py`, `filters/b.py -> filters/test_b.py`."""
    folder, _, name = module.removeprefix("curate/").rpartition("/")
    return f"{folder}/test_{name}"
