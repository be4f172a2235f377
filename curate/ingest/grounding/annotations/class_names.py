"""Finds the names of numbered classes, in the recipe or in a file beside the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from manifests import storage
from manifests.errors import InputError, RowError
from manifests.text.yaml_values import parse_yaml

FILES = ("classes.txt", "obj.names", "data.yaml", "dataset.yaml")
"""Files of class names that are written by Label Studio and LabelImg, by darknet, and by
Ultralytics (the last two)."""
_MAX_BYTES = 16 << 20
"""Largest size of a file of class names (our choice)."""
_CHECK = "Set `names` to the path of a file of class names, or to the names themselves."
_MAX_DIGITS = 9
"""Largest number of digits of a class number (our choice)."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


ClassNames = Annotated[
    tuple[str, ...] | str | None,
    BeforeValidator(_as_tuple),
    Field(
        description="names of the classes, the first for class 0; or a file with them: YAML "
        "with `names`, or text with one name per line; null: a file with a usual "
        "name, such as classes.txt, beside the labels or in one of the two "
        "folders above"
    ),
]
"""The type of a setting for class names: a list of names, or a file that has them."""


def class_names_near(folder: str, base: str) -> dict[int, str]:
    """Returns the class names in the file that `class_names_file` finds. Raises InputError if there
    is none, or if it cannot be read. `base` is the folder to which the uri `folder` is relative."""
    found = class_names_file(folder, base)
    if found is not None:
        return read_class_names(found, base)
    raise InputError(
        f"none of {', '.join(FILES)} is in this folder or in the two folders above.",
        folder or ".",
        "Set `names` to the names of the classes, or to a file with them.",
    )


def class_names_file(folder: str, base: str) -> str | None:
    """Returns the uri of a file with one of the names FILES, such as `classes.txt`; None if there
    is none. The file is searched for in `folder`, then in the folder above, then in the folder
    above that folder; in each folder, in the order of FILES. The first file that is found is used.
    `base` is the folder to which the uri `folder` is relative."""
    for place in _upwards(folder):
        for name in FILES:
            uri = storage.join(place, name)
            if storage.exists(storage.resolve(base, uri)):
                return uri
    return None


def read_class_names(uri: str, base: str) -> dict[int, str]:
    """Reads class names from the file `uri`: `cat\\ndog` -> `{0: "cat", 1: "dog"}`. Raises
    InputError if the file is missing, too large or not UTF-8, or if it is YAML without names of
    classes or with `kpt_shape`. `base` is the folder to which `uri` is relative."""
    place = storage.resolve(base, uri)
    found = storage.size_and_stamp(place)
    if found is None:
        raise InputError("the file of class names does not exist.", uri, _CHECK)
    if found[0] > _MAX_BYTES:
        raise InputError(
            f"the file has {found[0]} bytes, over the limit of {_MAX_BYTES} bytes for class names.",
            uri,
            _CHECK,
        )
    try:
        text = storage.read_bytes(place).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} of the file is not UTF-8.", uri, "Convert the file to UTF-8."
        ) from None
    if storage.base_name(uri).lower().endswith((".yaml", ".yml")):
        return _from_yaml(text, uri)
    return dict(enumerate(line.strip() for line in text.rstrip().splitlines()))


def class_name(names: dict[int, str], number: str) -> str:
    """The name of the class with this number: `class_name({0: "cat"}, "0") -> "cat"`. Raises
    RowError if `number` is not a number of up to 9 digits, or if `names` does not have it."""
    if not (number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS):
        fault = f"the class is {number!r:.40}, not a number of up to {_MAX_DIGITS} digits."
        raise RowError(fault, fix="Write the number of the class, from 0.")
    if int(number) not in names:
        fault = f"class {number!r:.40} has no name: only {len(names)} class names are known."
        raise RowError(fault, fix="Add the name to `names`, or to the file of class names.")
    return names[int(number)]


def _upwards(folder: str) -> Iterator[str]:
    """Yields a folder and the two folders above it, if they exist: `a/b` -> `a/b`, `a`, ``."""
    for _ in range(3):
        yield folder
        above = storage.folder_of(folder)
        if above == folder or storage.is_remote(folder) != storage.is_remote(above):
            return
        folder = above


def _from_yaml(text: str, uri: str) -> dict[int, str]:
    content: Any = parse_yaml(text, uri)
    if isinstance(content, dict) and "kpt_shape" in content:
        raise InputError(
            "the file has `kpt_shape`: the labels are poses, which would be read as polygons.", uri,
            "Poses are not supported: leave these files out, with `exclude`.",
        )  # fmt: skip
    names = content.get("names") if isinstance(content, dict) else None
    numbered: Any = dict(enumerate(names)) if isinstance(names, list) else names
    try:
        found = {int(number): str(name) for number, name in numbered.items()}
    except (ValueError, TypeError, AttributeError):
        fault = (
            f"`names` is {names!r:.80}, neither a list of names nor a mapping from class "
            "numbers to names."
        )
        raise InputError(fault, uri) from None
    if len(found) < len(numbered):
        raise InputError(
            "`names` has the same class number twice, once as a number and once as text.",
            uri,
            "Remove one of the two entries.",
        )
    return found
