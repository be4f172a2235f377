"""The names of numbered classes: given in the recipe, or in a file that lies with the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from manifests import storage
from manifests.errors import InputError, RowError

FILES = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
"""What Label Studio and LabelImg, darknet, and Ultralytics call them."""
_MAX_BYTES = 16 << 20
_MAX_DIGITS = 9


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


ClassNames = Annotated[
    tuple[str, ...] | str | None,
    BeforeValidator(_listed),
    Field(
        description="names of the classes from 0 on; or the file that has them, YAML with `names` "
        "or text with one a line; null: looked for beside the labels and in the two folders above"
    ),
]


def names_near(folder: str, base: str) -> dict[int, str]:
    """The names in the first such file in a folder or the two above it."""
    for place in _upwards(folder):
        for name in FILES:
            uri = f"{place}/{name}" if place else name
            if storage.exists(storage.resolve(base, uri)):
                return names_of(uri, base)
    raise InputError(
        f"no {', '.join(FILES)} in it, or in the two folders above it.",
        folder or ".",
        "Set `names` to the names of the classes, or to the file that has them.",
    )


def names_of(uri: str, base: str) -> dict[int, str]:
    """The names in a file. InputError where it is absent, or has none."""
    place = storage.resolve(base, uri)
    found = storage.size_and_stamp(place)
    if found is None:
        raise InputError("there is no such file.", uri, "The setting is 'names'.")
    if found[0] > _MAX_BYTES:
        raise InputError(f"{found[0]} bytes is too much for names of classes.", uri)
    try:
        text = storage.read_bytes(place).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8.", uri) from None
    if uri.lower().endswith((".yaml", ".yml")):
        return _of_yaml(text, uri)
    return dict(enumerate(line.strip() for line in text.rstrip().splitlines()))


def name_of(names: dict[int, str], number: str) -> str:
    """The name of a class. RowError for what is no number of one."""
    is_number = number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS
    if not is_number or int(number) not in names:
        raise RowError(f"the class {number!r:.40} is none of the {len(names)} that are named")
    return names[int(number)]


def _upwards(folder: str) -> Iterator[str]:
    """A folder and the two above it, as far as its path tells them."""
    places = [folder]
    for _ in range(2):
        above, mark, _ = places[-1].rpartition("/")
        if places[-1]:
            places.append(above if mark else "")
    return iter(places)


def _of_yaml(text: str, uri: str) -> dict[int, str]:
    import yaml

    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"broken YAML: {' '.join(str(error).split())}.", uri) from None
    if isinstance(content, dict) and "kpt_shape" in content:
        raise InputError(
            "`kpt_shape`: its labels are poses, whose numbers could be taken for polygons.", uri,
            "Poses are not read; leave these labels out.",
        )  # fmt: skip
    names = content.get("names") if isinstance(content, dict) else None
    numbered: Any = dict(enumerate(names)) if isinstance(names, list) else names
    try:
        return {int(number): str(name) for number, name in numbered.items()}
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"`names` is {names!r:.80}: neither a list nor numbered.", uri) from None
