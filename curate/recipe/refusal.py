"""Says in plain words why settings of a recipe are refused, and where in the recipe the settings
are."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from curate.recipe.renames import new_setting
from curate.recipe.text import Text
from curate.recipe.values import Path
from manifests.errors import RecipeError
from manifests.step.spelling import nearest

_SHOWN = 200
"""How many characters of a wrong value a message shows (our choice)."""


def refusal(error: ValidationError, kind: type[BaseModel], text: Text, path: Path) -> RecipeError:
    """Return the error that a user sees when pydantic refuses settings. If there are several
    mistakes, the error is about the first setting that was renamed or, if no setting was renamed,
    about the first mistake.

    `kind` is the class of the settings, and `path` their place in the recipe `text`.
    """
    old = (e for e in error.errors() if _new_name(e, kind))
    first = _first_refusal(next(old, error.errors()[0]), kind, text, path)
    return RecipeError(text.hidden(first.fault), first.place, text.hidden(first.fix))


def _first_refusal(
    first: ErrorDetails, kind: type[BaseModel], text: Text, path: Path
) -> RecipeError:
    inner = _inside(first)
    place = text.place((*path, *inner))
    name = str(inner[-1]) if inner else ""
    if now := _new_name(first, kind):
        return RecipeError(f"'{name}' is now called '{now}': write the new name.", place)
    if first["type"] == "extra_forbidden":
        known = list(_model_at(kind, inner[:-1]).model_fields)
        return RecipeError(f"there is no setting named '{name}'.", place, nearest(name, known))
    if first["type"] == "missing":
        return RecipeError(f"the setting '{name}' is missing.", place)
    if first["type"] == "value_error":  # raised by a validator of ours, as a full sentence
        message = str(first["ctx"]["error"])
        return RecipeError(message if message.endswith((".", "?")) else f"{message}.", place)
    if isinstance(first["input"], dict):
        return RecipeError(f"{first['msg']}.", place)
    if first["type"] == "string_type" and first["input"] is None:
        return RecipeError("there is no value.", place, 'For an empty text write "".')
    if first["type"] in ("model_type", "dict_type"):
        known = list(_model_at(kind, inner).model_fields) if first["type"] == "model_type" else []
        fix = f"Its names are {', '.join(known)}." if known else ""
        fault = "it must be names with values, {NAME: VALUE}"
        return RecipeError(f"{fault} (not {_short(first['input'])}).", place, fix)
    variable = text.variables.get((*path, *inner))
    value = variable.text if variable else _short(first["input"])
    return RecipeError(f"{first['msg']} (not {value}).", place)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _inside(error: ErrorDetails) -> Path:
    """Return the path of the setting that has an error, such as ("rename", "a"). Names of
    validators, which pydantic adds to the path, are left out."""
    return tuple(p for p in error["loc"] if isinstance(p, int) or not p.startswith("function-"))


def _new_name(error: ErrorDetails, kind: type[BaseModel]) -> str | None:
    """Return the new name of a setting if the error is about its old name; None otherwise. `kind`
    is the class with the settings."""
    *path, name = _inside(error) or ("",)
    if error["type"] != "extra_forbidden":
        return None
    return new_setting(_model_at(kind, tuple(path)), str(name))


def _model_at(kind: Any, path: Path) -> type[BaseModel]:
    """Return the class of the settings at a path within the class `kind`. A number in the path is
    an index in a list."""
    for name in path:
        if isinstance(name, int):  # an index in a list of models
            kind = get_args(kind)[0]
        elif name in kind.model_fields:
            annotation = kind.model_fields[name].annotation
            models = [one for one in get_args(annotation) if isinstance(one, type(BaseModel))]
            kind = models[0] if models else annotation  # of `Model | None`, the model
    found: type[BaseModel] = kind
    return found
