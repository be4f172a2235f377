"""Reads annotations from the cells of a table row. A cell has a list of dicts, one for each
annotation, or several cells have parallel lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from curate.ingest.grounding.annotations.annotation import Annotation
from curate.ingest.grounding.annotations.rings import to_rings
from manifests.errors import RowError

Entry = dict[str, Any]
"""The fields of one annotation, by name."""


class FieldNames(Protocol):
    """The names of the fields of an annotation. A name is None if the annotations do not have the
    field. `box` and `point` are the name of one field with all numbers, or one name for each
    number."""

    @property
    def box(self) -> Sequence[str] | None: ...
    @property
    def point(self) -> Sequence[str] | None: ...
    @property
    def polygon(self) -> str | None: ...
    @property
    def label(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...


def entries_in_cell(value: Any, name: str) -> list[Entry]:
    """Returns the fields of each annotation in a cell. The cell is a list of dicts, one for each
    annotation, or a dict of parallel lists; null stands for no annotations. Raises RowError for any
    other cell.

    `{"bbox": [[0, 0, 9, 9], [1, 1, 5, 5]], "label": ["a", "b"]}` -> `[{"bbox": [0, 0, 9, 9],
    "label": "a"}, {"bbox": [1, 1, 5, 5], "label": "b"}]`
    """
    if value is None:
        return []
    if isinstance(value, dict):
        return entries_in_lists({field: (f"{name}.{field}", cell) for field, cell in value.items()})
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return value
    raise RowError(
        f"the field {name!r} is {value!r:.80}, not a list of objects or an object of lists"
    )


def entries_in_lists(cells: dict[str, tuple[str, Any]]) -> list[Entry]:
    """Makes the fields of each annotation from parallel lists. `cells` maps the name of a field to
    (name of the list in error messages, list).

    `{"box": ("boxes", [[0, 0, 9, 9]]), "label": ("labels", ["a"])}` -> `[{"box": [0, 0, 9, 9],
    "label": "a"}]`. A value that is not a list applies to all annotations; if no value is a list,
    there are none. Raises RowError if the lists have different lengths.
    """
    lists = {field: (name, _as_list(cell, field)) for field, (name, cell) in cells.items()}
    lengths = {name: len(cell) for name, cell in lists.values() if isinstance(cell, list)}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise RowError(f"the lists have different lengths: {counts}")
    count = next(iter(lengths.values()), 0)
    columns = [cell if isinstance(cell, list) else [cell] * count for _, cell in lists.values()]
    return [dict(zip(lists, row, strict=True)) for row in zip(*columns, strict=True)]


def to_annotation(entry: Entry, fields: FieldNames, class_names: dict[int, str]) -> Annotation:
    """Makes an annotation from its fields (`entry`). Fields that `fields` does not name become
    attributes. Raises RowError for a malformed polygon, label or text."""
    polygon = entry.get(fields.polygon) if fields.polygon else None
    text = entry.get(fields.text) if fields.text else None
    if text is not None and not isinstance(text, str):
        raise RowError(f"the field {fields.text!r} is {text!r:.80}, not text")
    used = {*(fields.box or ()), *(fields.point or ()), fields.polygon, fields.label, fields.text}
    return Annotation(
        label=_label(entry.get(fields.label), class_names) if fields.label else None,
        box=_numbers(entry, fields.box),
        point=_numbers(entry, fields.point),
        polygon=None if polygon is None else to_rings(polygon),
        text=text,
        attributes={name: value for name, value in entry.items() if name not in used},
    )


def class_labels(feature: Any, field: str | None = None) -> dict[int, str]:
    """Returns the class names by number. `feature` is Hugging Face's description of a column. If
    `field` is not None, only the classes of this field inside the column are used.

    `class_labels({"names": ["cat", "dog"], "_type": "ClassLabel"}) -> {0: "cat", 1: "dog"}`. The
    result is empty if the labels are not numbered classes.
    """
    if isinstance(feature, list):
        return next((found for one in feature if (found := class_labels(one, field))), {})
    if not isinstance(feature, dict):
        return {}
    if field is None and feature.get("_type") == "ClassLabel":
        return dict(enumerate(feature.get("names") or ()))
    if field is not None and field in feature:
        return class_labels(feature[field])
    return class_labels(list(feature.values()), field)


def holds_coordinates(cell: Any) -> bool:
    """Whether a cell may have annotations: it contains numbers inside two or more levels of lists
    or dicts, or it is a single box."""
    if isinstance(cell, list) and len(cell) == 4 and all(_is_number(value) for value in cell):
        return True
    return any(
        any(map(_is_number, _children(child))) or holds_coordinates(child)
        for child in _children(cell)
    )


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether a column's type contains numbers, at any nesting depth."""
    if kind.num_fields:
        return any(holds_numbers(kind.field(n).type) for n in range(kind.num_fields))
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _children(cell: Any) -> list[Any]:
    return [*cell.values()] if isinstance(cell, dict) else cell if isinstance(cell, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_list(cell: Any, field: str) -> Any:
    """Converts a cell to a list with one value for each annotation. A cell that is not a list, such
    as a single label for all annotations, is returned unchanged.

    Points `{"x": [1, 2], "y": [3, 4]}` become `[[1, 3], [2, 4]]`. A single box may have no outer
    list: `[0, 0, 9, 9]` -> `[[0, 0, 9, 9]]`.
    """
    if field == "point" and isinstance(cell, dict):
        return xy_pairs(cell, "points")
    is_one = isinstance(cell, list) and cell and isinstance(cell[0], int | float)
    if field in ("box", "point", "polygon"):
        return [] if cell is None else [cell] if is_one else cell
    return cell


def xy_pairs(value: Any, name: str) -> list[list[Any]]:
    """Makes points from two parallel lists: `{"x": [1, 2], "y": [3, 4]} -> [[1, 3], [2, 4]]`."""
    x, y = (value.get("x"), value.get("y")) if isinstance(value, dict) else (None, None)
    if isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
        return [list(pair) for pair in zip(x, y, strict=True)]
    raise RowError(f"{name} are {value!r:.80}, not lists x and y of the same length")


def _numbers(entry: Entry, names: Sequence[str] | None) -> Any:
    """Returns the numbers of a box or a point from the fields of an annotation (`entry`); None if
    the annotation has no such numbers. `names` is the name of one field with all numbers, or one
    name for each number."""
    if not names:
        return None
    if len(names) > 1:
        values = [entry.get(name) for name in names]
        return None if all(value is None for value in values) else values
    value = entry.get(names[0])
    return [value.get("x"), value.get("y")] if isinstance(value, dict) else value


def _label(value: Any, class_names: dict[int, str]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if class_names and value not in class_names:
            raise RowError(
                f"class {value} has no name: only {len(class_names)} class names are known.",
                fix="Set `names` to the names of all classes.",
            )
        return class_names.get(value, str(value))
    raise RowError(f"a label is {value!r:.80}, neither text nor a whole number")
