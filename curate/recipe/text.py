"""Reads the YAML of a recipe, with includes, variables, `--set`, and line numbers for error
messages."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import yaml

from manifests import storage
from manifests.errors import RecipeError
from manifests.step.spelling import nearest

Path = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class Text(NamedTuple):
    """The name of a YAML file, and the line at which each path in the file begins."""

    name: str
    lines: dict[Path, int]

    def place(self, path: Path) -> str:
        """Format a path as a place: `("steps", 0, "words") -> "recipe.yaml:6: steps[0].words"`."""
        above = (path[:n] for n in range(len(path), -1, -1))
        line = next((self.lines[p] for p in above if p in self.lines), 0)
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        return f"{self.name}:{line}" + (f": {where}" if where else "")


def read(uri: str, seen: tuple[str, ...] = ()) -> tuple[dict[str, Any], Text]:
    """Read a recipe file.

    Returns the recipe as plain data, merged over the recipe given by its `base`, and the lines of
    the file. `seen` lists the files that include this one.
    """
    if uri in seen:
        raise RecipeError(f"the recipe includes itself through {' -> '.join(seen)}", uri)
    if storage.size_and_stamp(uri) is None:
        raise RecipeError("there is no such recipe", uri, "`curate init` writes a first recipe.")
    name = storage.base_name(uri)
    try:
        node = yaml.compose(storage.read_bytes(uri).decode(), yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"this is not YAML: {error}", name) from error
    lines: dict[Path, int] = {}
    content = _plain(node, (), lines, name) if node else None
    if not isinstance(content, dict):
        raise RecipeError("a recipe must be a mapping of name, sources, steps, shards", name)
    text = Text(name, lines)
    if "base" in content:
        other = storage.resolve(os.path.dirname(uri), str(content.pop("base")))
        below, _ = read(other, (*seen, uri))
        content = _merged(below, content)
    return content, text


def _plain(node: Any, path: Path, lines: dict[Any, int], name: str) -> Any:
    """Convert a YAML node to plain data, with variables replaced; add the line of each value to
    `lines`."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key, value in node.value:
            if key.value in out:
                raise RecipeError(
                    f"'{key.value}' is given twice", f"{name}:{key.start_mark.line + 1}"
                )
            out[key.value] = _plain(value, (*path, key.value), lines, name)
            lines[(*path, key.value)] = key.start_mark.line + 1
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), lines, name) for i, item in enumerate(node.value)]
    if "${" in node.value:
        filled = _VARIABLE.sub(lambda m: _variable(m, name, node), node.value)
        return yaml.safe_load(filled) if node.style is None else filled
    return yaml.SafeLoader("").construct_object(node)


def _variable(match: re.Match[str], name: str, node: Any) -> str:
    value = os.environ.get(match[1], match[2])
    if value is None:
        raise RecipeError(
            f"the environment has no variable {match[1]}.",
            f"{name}:{node.start_mark.line + 1}",
            f"Set it, or write ${{{match[1]}:-default}}.",
        )
    return value


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two recipes: mappings are merged, and any other value of `above` replaces that of
    `below`."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else value
    return out


def assign(content: dict[str, Any], setting: str) -> None:
    """Apply a setting such as `steps.words.min=5` to the content of a recipe, in place.

    An item of a list is selected by its index, its `name`, or its key.
    """
    path, equals, value = setting.partition("=")
    if not equals:
        raise RecipeError(f"'{setting}' has no '='.", "--set", "Write --set path.to.field=value.")
    *walk, last = path.split(".")
    at: Any = content
    for name in walk:
        at = _enter(at, name, setting)
    if isinstance(at, list):
        raise RecipeError(f"'{last}' is an item of a list, not a setting.", f"--set {setting}")
    at[last] = yaml.safe_load(value)


def _enter(at: Any, name: str, setting: str) -> Any:
    """Return the value named `name` in a mapping or a list. If a mapping does not have this key, an
    empty mapping is added under it."""
    if isinstance(at, dict):
        if at.get(name) is None:
            at[name] = {}
        return at[name]
    if isinstance(at, list):
        for number, item in enumerate(at):
            if isinstance(item, dict) and item.get("name") == name:
                return item
            if isinstance(item, dict) and name in item:
                return _enter(item, name, setting)
            if item == name:
                at[number] = {name: {}}
                return at[number][name]
            if name == str(number):
                return item
        known = [str(i.get("name") or next(iter(i))) if isinstance(i, dict) else str(i) for i in at]
        raise RecipeError(f"no item named '{name}'.", f"--set {setting}", nearest(name, known))
    raise RecipeError(f"'{name}' is inside a plain value, not a mapping.", f"--set {setting}")
