"""Runs of the recipes in `recipes/`."""

from __future__ import annotations

from pathlib import Path

from curate import cli
from tests.runs import FinishedRun, curate, read_run

RECIPES = {
    path.stem: path for path in (Path(__file__).resolve().parents[1] / "recipes").glob("*.yaml")
}
CAPTION = "A brown dog runs along the beach behind a red ball."


def run_shipped(name: str, base: Path) -> FinishedRun:
    """Run a recipe in `base`, with its own error budget."""
    run = ["run", str(RECIPES[name]), "-o", "out", "--inline", "-q"]
    assert curate(base, *run) == cli.OK
    assert curate(base, "verify", "out") == cli.OK
    return read_run(base / "out")


def run_over_budget(recipe: Path, base: Path) -> FinishedRun:
    """Run a recipe; one input of six is broken, which is over the budget of most recipes."""
    settings = ["--set", "max_quarantined=0.5"]
    assert curate(base, "run", str(recipe), "-o", "out", "--inline", "-q", *settings) == cli.OK
    assert curate(base, "verify", "out") == cli.OK
    return read_run(base / "out")
