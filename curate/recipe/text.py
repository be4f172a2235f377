"""Reads the recipe files: includes, `--set`, and the line of each setting for error messages."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from typing import Any, NamedTuple

from curate.recipe.values import Path, Values, Variable, names
from manifests import storage
from manifests.errors import RecipeError
from manifests.step.spelling import nearest
from manifests.visible import on_one_line

MAX_BYTES, MAX_INCLUDES = 16 << 20, 16
"""The largest size of a recipe file in bytes, and the largest number of recipes that are joined
through `base` (our choice)."""


class Text(NamedTuple):
    """What is known about a YAML file for error messages: its name, the line at which each setting
    (path) begins, and the settings with environment variables."""

    name: str
    lines: dict[Path, int]
    variables: dict[Path, Variable]

    def place(self, path: Path) -> str:
        """Format a path as a place: `("steps", 0, "words") -> "recipe.yaml:6: steps[0].words"`."""
        above = (path[:n] for n in range(len(path), -1, -1))
        line = next((self.lines[p] for p in above if p in self.lines), 0)
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        return on_one_line(f"{self.name}:{line}" + (f": {where}" if where else ""))

    def hidden(self, text: str) -> str:
        """Return the text in which each value of an environment variable of the recipe is replaced
        by the name of the variable, as `${NAME}`. A short value is not replaced, because it may be
        an ordinary word of the text."""
        for name in {n for variable in self.variables.values() for n in names(variable.text)}:
            value = os.environ.get(name, "")
            text = text.replace(value, f"${{{name}}}") if len(value) >= _SECRET_LENGTH else text
        return text


_SECRET_LENGTH = 6
"""The length from which on the value of an environment variable is hidden (our choice)."""


def read(uri: str, seen: tuple[str, ...] = (), place: str = "") -> tuple[dict[str, Any], Text]:
    """Read the recipe file `uri`.

    Returns the recipe as plain data, and what is known about its text for error messages. If the
    recipe has the setting `base`, it is merged over the recipe file that `base` names. `seen` lists
    the files that include this file, directly or by way of other files. `place` is the place of the
    setting `base` that names this file. Raises RecipeError if the file is missing or malformed, if
    it includes itself, or if more than MAX_INCLUDES files include one another.
    """
    shown = " -> ".join([*seen[-2:], uri])
    if _real(uri) in map(_real, seen):
        raise RecipeError(f"the recipe includes itself through `base`: {shown}", place or uri)
    if len(seen) >= MAX_INCLUDES:
        fault = f"more than {MAX_INCLUDES} recipes are joined through `base`: {shown}"
        raise RecipeError(fault, place or uri)
    name = storage.base_name(uri)
    values = Values(name, {}, {})
    content = values.of(_decoded(uri, name, place))
    if not isinstance(content, dict):
        raise RecipeError(
            "a recipe must be a mapping with the keys name, sources, steps and shards", name
        )
    text = Text(*values)
    if "base" in content:
        content = _over_base(content, text, uri, seen)
    return content, text


def _decoded(uri: str, name: str, place: str) -> str:
    if not storage.is_remote(uri) and os.path.exists(uri) and not _is_file(uri):
        raise RecipeError(
            "the recipe must be a file", place or uri, f"{uri} is a folder, a pipe or the like."
        )
    found = storage.size_and_stamp(uri)
    if found is None:
        fix = (
            f"There is no file {uri}. Correct the setting `base`."
            if place
            else "Check the path. `curate init` writes a recipe to start from."
        )
        raise RecipeError("the recipe does not exist", place or uri, fix)
    if found[0] > MAX_BYTES:
        fault = f"the file has {found[0]} bytes, over the limit of {MAX_BYTES} for a recipe"
        raise RecipeError(fault, place or uri, "Check that this file is the recipe.")
    try:
        return storage.read_bytes(uri).decode()
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"the file is not UTF-8 text: byte {error.start} is not valid.", name
        ) from None


def _real(uri: str) -> str:
    """Returns a path without links and `..`, so that two paths of one file are equal. A URL is
    returned unchanged."""
    return uri if storage.is_remote(uri) else os.path.realpath(uri)


def _is_file(uri: str) -> bool:
    return stat.S_ISREG(os.stat(uri).st_mode)


def _over_base(
    content: dict[str, Any], text: Text, uri: str, seen: tuple[str, ...]
) -> dict[str, Any]:
    """Return the recipe `content` merged over the recipe in the file that the setting `base` of
    `content` names.

    Settings of the base recipe that contain environment variables, and that `content` does not
    replace, are added to `text`. `uri` is the file of `content`, and `seen` lists the files that
    include this file.
    """
    place, base = text.place(("base",)), content.pop("base")
    text.variables.pop(("base",), None)
    if not isinstance(base, str) or not base:
        raise RecipeError(f"`base` must be the path of a recipe, not {base!r}.", place)
    other = storage.resolve(storage.folder_of(uri), base)
    below, lower = read(other, (*seen, uri), place)
    for path, variable in lower.variables.items():
        if not _replaced(content, path):
            text.variables[path] = variable
    return _merged(below, content)


def _replaced(above: Any, path: Path) -> bool:
    """Whether the recipe `above` replaces the setting at this path when it is merged over another
    recipe."""
    for name in path:
        if not isinstance(above, dict):
            return True
        if name not in above:
            return False
        above = above[name]
    return True


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two recipes: mappings are merged, and any other value of `above` replaces the value of
    `below`."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else value
    return out


_NAME = re.compile(r'"([^"]+)"|([^."=]+)')
_SETTING = re.compile(
    rf"(?P<path>(?:{_NAME.pattern})(?:\.(?:{_NAME.pattern}))*)=(?P<value>.*)", re.DOTALL
)


def assign(content: dict[str, Any], setting: str, text: Text) -> None:
    """Apply a setting such as `steps.words.min=5` to the content of a recipe, in place.

    An item of a list is selected by its index, its `name`, or its key. A name that has a dot or an
    equals sign is written in double quotes: `steps.labels.rename."a.b"=c`.
    """
    place = f"--set {on_one_line(setting)}"
    found = _SETTING.fullmatch(setting)
    if found is None:
        fault = f"'{on_one_line(setting)}' is not of the form PATH=VALUE."
        fix = (
            'Write --set path.to.field=value. Write a name with a dot in quotes: path."a.b"=value.'
        )
        raise RecipeError(fault, "--set", fix)
    *walk, last = [quoted or plain for quoted, plain in _NAME.findall(found["path"])]
    value = found["value"]
    at: Any = content
    path: Path = ()
    for one in walk:
        at, path = _enter(at, one, place, path)
    if isinstance(at, list):
        _enter(at, last, place, path)  # raises if the list has no such item
        one = f"--set {on_one_line(found['path'])}.SETTING=VALUE"
        fix = f"Set the whole list, or a setting of the item: {one}."
        raise RecipeError(f"'{last}' is an item of a list, not a setting.", place, fix)
    if not isinstance(at, dict):
        raise RecipeError(
            f"'{last}' cannot be set: what stands before it is a single value, not a mapping.",
            place,
        )
    path = (*path, last)
    for known in [p for p in text.variables if p[: len(path)] == path]:
        del text.variables[known]
    at[last] = Values(place, {}, text.variables).of(value, path)


def _item_names(items: list[Any]) -> list[str]:
    """Return the name of each item of a list: its `name` or its first key. The second step `words`
    is named `words-2`, as in the manifest; but if the list has presets, which stand for several
    steps, both are named `words`."""
    keys = [
        str(i.get("name") or next(iter(i), "{}")) if isinstance(i, dict) else str(i) for i in items
    ]
    if "preset" in keys:
        return keys
    seen = Counter[str]()
    names = []
    for key in keys:
        seen[key] += 1
        names.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return names


def _enter(at: Any, name: str, place: str, path: Path) -> tuple[Any, Path]:
    """Return the value with the key or name `name` in `at`, and the path of this value. `at` is a
    mapping or list with the path `path`. If a mapping does not have this key, or has null there, an
    empty mapping is put under the key. Raises RecipeError if a list has no such item, and if `at`
    is a single value. `place` is the place for error messages."""
    if isinstance(at, dict):
        if at.get(name) is None:
            at[name] = {}
        return at[name], (*path, name)
    if isinstance(at, list):
        for number, item in enumerate(at):
            if isinstance(item, dict) and item.get("name") == name:
                return item, (*path, number)
            if isinstance(item, dict) and name in item:
                return _enter(item, name, place, (*path, number))
            if name == str(number):
                return item, (*path, number)
        known = _item_names(at)
        if name in known:
            number = known.index(name)
            if not isinstance(at[number], dict):
                at[number] = {at[number]: {}}
            return _enter(at[number], next(iter(at[number])), place, (*path, number))
        raise RecipeError(f"the list has no item named '{name}'.", place, nearest(name, known))
    raise RecipeError(f"'{name}' does not exist: it is not below a mapping.", place)
