"""What the settings of a step refer to: the step that makes a column, and sources of the recipe."""

from __future__ import annotations

from curate.engine.planned import PlannedStep
from curate.recipe.text import Text
from manifests.errors import RecipeError
from manifests.step.spelling import nearest


def with_maker(planned: list[PlannedStep], place: str) -> PlannedStep:
    """Returns the last step of `planned`, together with the step that makes the column which the
    method `made_by` of the last step names.

    Raises RecipeError if no earlier step makes the column, or if the last step cannot use the step
    that makes it. `place` is the place of the last step in the recipe.
    """
    last = planned[-1]
    column = last.step.made_by()
    if column is None:
        return last
    maker = next((one for one in planned[:-1] if column in one.measures), None)
    if maker is None:
        fault = f"no step makes the column '{column}', so its model is not known."
        raise RecipeError(fault, place, "Name a measure of a step such as embed.")
    try:
        return last._replace(step=last.step.with_maker(maker.step))
    except ValueError as error:
        fault = f"the step '{maker.name}' makes the column '{column}', and {error}."
        fix = "Use a column of the step embed, or vectors in a field of a table (`embedding`)."
        raise RecipeError(fault, place, fix) from None


def check_sources(planned: list[PlannedStep], sources: list[str], text: Text) -> None:
    """Raises RecipeError if a setting of a step, such as `pool`, names a source that the recipe
    does not have. `sources` are the names of the recipe's sources, and `text` has the lines of the
    recipe."""
    for one in planned:
        for name in one.step.named_sources():
            if name not in sources:
                fault = f"there is no source named '{name}'."
                raise RecipeError(fault, text.place(one.place), nearest(name, sources))
