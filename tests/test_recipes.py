"""The recipes that come along are valid, and say what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate import recipe
from curate.engine.plan import plan

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def test_there_are_recipes() -> None:
    assert [path.stem for path in RECIPES] == ["captions", "datacomp", "finetune"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_says_how_to_run_it(path: Path) -> None:
    loaded = recipe.load(str(path))
    assert plan(loaded)[-1].kind == "shards"
    assert f"curate run recipes/{path.name} -o out/" in path.read_text()
