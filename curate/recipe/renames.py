"""Finds the new names of renamed settings, measures and steps, for recipes that use the old names.

A step or reader class declares its old settings and measures as `renamed = {"old": "new"}`; the
catalog lists renamed steps and readers. An old name raises an error; it is never replaced by the
new name automatically.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from curate.catalog import RENAMED_STEPS
from curate.engine.planned import PlannedStep
from manifests.errors import RecipeError


def new_setting(kind: type[BaseModel], name: str) -> str | None:
    """Return the new name of a renamed setting of a model; None if `name` is not an old name."""
    renamed: dict[str, str] = getattr(kind, "renamed", {})
    return renamed.get(name)


def new_column(column: str, steps: Iterable[PlannedStep]) -> str | None:
    """Return the present name of `column`, such as `old_step.old_measure`, if its step or its
    measure was renamed; None otherwise."""
    name, dot, measure = column.partition(".")
    if not dot:
        return None
    step, dash, number = name.partition("-")  # `words-2` is the second step `words`
    name = RENAMED_STEPS.get(step, step) + dash + number
    of_step = next((type(s.step).renamed for s in steps if s.name == name), {})
    now = f"{name}.{of_step.get(measure, measure)}"
    return None if now == column else now


def refuse_old(columns: Mapping[str, Any] | list[str], steps: list[PlannedStep], at: str) -> None:
    """Raise RecipeError if one of `columns` is an old name, such as `old_step.old_measure`.

    `at` is the place of `columns` in the recipe.
    """
    for column in columns:
        if now := new_column(column, steps):
            raise RecipeError(f"'{column}' is now called '{now}': write the new name.", at)
