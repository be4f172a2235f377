"""Converts the YAML of a recipe to plain values, with variables replaced and limits on its size."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import yaml

from manifests.errors import RecipeError
from manifests.visible import on_one_line

Path = tuple[str | int, ...]
MAX_DEPTH = 50
"""How deep the values of a recipe may be nested (our choice; a recipe has about six levels)."""
MAX_VALUES = 100_000
"""How many values a recipe may have, each use of an anchor counted (our choice)."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_TAG = "tag:yaml.org,2002:"
_SIGNS = frozenset("*&!?%@`")
"""Signs that have a meaning in YAML where a value begins, or, as `?`, within brackets."""
_QUOTES = "If the value is text, write it in quotes, as in '*.gif'."
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null")
_TEXTS = ("timestamp", "merge", "value")
"""YAML 1.1 has types of their own for dates, `<<` and `=`. No setting has such a type, so these
values are read as text."""


class Variable(NamedTuple):
    """The text of a setting that contains environment variables, such as `${KEY}`. `plain` is true
    if the text is not in quotes in the recipe."""

    text: str
    plain: bool


class Values(NamedTuple):
    """Converts YAML texts to plain values.

    `name` is the name of the text in error messages. Converting a text adds the line of each
    setting to `lines`, by the setting's path, and each setting with environment variables to
    `variables`.
    """

    name: str
    lines: dict[Path, int]
    variables: dict[Path, Variable]

    def of(self, data: str, path: Path = ()) -> Any:
        """Parse a YAML text to plain values. `path` is the path of the value in the recipe, () for
        a complete recipe."""
        try:
            node = yaml.compose(data, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            fault = f"the recipe is not valid YAML: {error.problem}."
            place = f"{self.name}:{mark.line + 1 if mark else 0}"
            near = data[max(mark.index - 1, 0) : mark.index + 1] if mark else ""
            fix = _QUOTES if _SIGNS & set(near) else ""
            raise RecipeError(fault, place, fix) from None
        except yaml.YAMLError as error:
            fault = f"the recipe is not valid YAML: {on_one_line(str(error))}."
            raise RecipeError(fault, self.name) from None
        except RecursionError:
            raise self._too_deep(self.name) from None
        return self._plain(node, path, 0) if node else None

    def _plain(self, node: Any, path: Path, depth: int) -> Any:
        self.lines[path] = node.start_mark.line + 1
        place = f"{self.name}:{node.start_mark.line + 1}"
        if depth > MAX_DEPTH:
            raise self._too_deep(place)
        if len(self.lines) > MAX_VALUES:
            fault = (
                f"the recipe has more than {MAX_VALUES} values; each use of a YAML anchor "
                "counts again."
            )
            raise RecipeError(fault, place, "Write fewer values, or use fewer anchors.")
        if node.tag.removeprefix(_TAG) not in (*_KINDS, *_TEXTS):
            raise RecipeError(
                f"the YAML tag {on_one_line(node.tag)} is not allowed in recipes.",
                place,
                "Remove the tag: values are texts, numbers, true, false, null, lists and mappings.",
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(v, (*path, i), depth + 1) for i, v in enumerate(node.value)]
        return self._scalar(node, path, place)

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in node.value:
            place = f"{self.name}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                raise RecipeError(
                    "the key of a mapping must be text: the name of a setting.", place
                )
            if key.value in out:
                raise RecipeError(f"the key '{on_one_line(key.value)}' occurs twice", place)
            out[key.value] = self._plain(value, (*path, key.value), depth + 1)
            self.lines[(*path, key.value)] = key.start_mark.line + 1
        return out

    def _scalar(self, node: Any, path: Path, place: str) -> Any:
        plain = node.style is None
        if _VARIABLE.search(node.value):
            self.variables[path] = Variable(node.value, plain)
            return filled(node.value, plain, place)
        try:
            return _Loader("").construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            kind = node.tag.removeprefix(_TAG)
            fault = f"{on_one_line(node.value)[:80]!r} is not a valid {kind}."
            fix = "If the value is text, write the value in quotes."
            raise RecipeError(fault, place, fix) from None

    @staticmethod
    def _too_deep(place: str) -> RecipeError:
        fault = f"values are nested more than {MAX_DEPTH} levels deep."
        return RecipeError(
            fault, place, "Check whether a YAML anchor is used inside its own value."
        )


class _Loader(yaml.SafeLoader):
    """Reads a value as text if only YAML 1.1 gives it another type (see `_is_text`)."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if is_plain and _is_text(node.value, node.tag.removeprefix(_TAG)):
            return node.value
        return super().construct_object(node, deep)


def _is_text(value: str, kind: str) -> bool:
    """Whether a value without quotes is a text, although YAML 1.1 reads it as the type `kind`: a
    date, `no` (also a language), `16:9`."""
    if kind == "bool":
        return value.lower() not in ("true", "false")
    return kind in _TEXTS or (kind in ("int", "float") and ":" in value)


def names(text: str) -> list[str]:
    """Return the names of the environment variables in a text: "${A}/${B}" -> ["A", "B"]."""
    return [found[1] for found in _VARIABLE.finditer(text)]


def filled(text: str, plain: bool, place: str) -> Any:
    """Return the value of a setting with its environment variables replaced. If `plain` is true
    (the text is not in quotes), the value is read as YAML by the rules of a recipe, so it may
    become a number, a list and so on.

    `place` is the place of the setting in the recipe. Error messages do not show the value of a
    variable.
    """
    value = _VARIABLE.sub(lambda found: _variable(found, place), text)
    if not plain:
        return value
    try:
        return yaml.load(value, _Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RecipeError(
            f"after its variables are replaced by their values, {text} is not valid YAML.",
            place,
            f'If the values are text, write the setting in quotes: "{text}".',
        ) from None


def _variable(match: re.Match[str], place: str) -> str:
    value = os.environ.get(match[1], match[2])
    if value is None:
        raise RecipeError(
            f"the environment variable {match[1]} is not set.",
            place,
            f"Set it, or write ${{{match[1]}:-default}}.",
        )
    return value
