"""Annotated objects out of the cells of a row: in a list, or in lists side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

from curate.ingest.grounding.annotations.grounding_records import Annotation
from manifests.errors import RowError

Entry = dict[str, Any]
"""An object's fields by name."""


class Fields(Protocol):
    """The names of the fields of an object."""

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


def listed(value: Any, name: str) -> list[Entry]:
    """The objects of a cell: a list of them, or their fields as lists of equal length."""
    if value is None:
        return []
    if isinstance(value, dict):
        return transposed({field: (f"{name}.{field}", cell) for field, cell in value.items()})
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    raise RowError(f"{name!r} is {value!r:.80}: neither a list of objects nor lists in an object")


def transposed(cells: dict[str, tuple[str, Any]]) -> list[Entry]:
    """Objects of lists side by side, each with the name it has in the row; what is no list is
    said of all of them. RowError where their lengths differ."""
    lists = {field: (name, _many(cell, field)) for field, (name, cell) in cells.items()}
    lengths = {name: len(cell) for name, cell in lists.values() if isinstance(cell, list)}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise RowError(f"lists of different lengths: {told}")
    count = next(iter(lengths.values()), 0)
    columns = [
        cell if isinstance(cell, list) else [cell] * count
        for _, cell in lists.values()
    ]  # fmt: skip
    return [dict(zip(lists, row, strict=True)) for row in zip(*columns, strict=True)]


def annotation(entry: Entry, fields: Fields, names: dict[int, str]) -> Annotation:
    """An object; fields that nothing names are its attributes."""
    polygon = entry.get(fields.polygon) if fields.polygon else None
    text = entry.get(fields.text) if fields.text else None
    if text is not None and not isinstance(text, str):
        raise RowError(f"{fields.text!r} is {text!r:.80}, not text")
    spent = {*(fields.box or ()), *(fields.point or ()), fields.polygon, fields.label, fields.text}
    return Annotation(
        label=_label(entry.get(fields.label), names) if fields.label else None,
        box=_numbers(entry, fields.box),
        point=_numbers(entry, fields.point),
        polygon=None if polygon is None else _rings(polygon),
        text=text,
        attributes={name: value for name, value in entry.items() if name not in spent},
    )


def labels_in(feature: Any, field: str | None = None) -> dict[int, str]:
    """The class names that Hugging Face's description of a column has, of the field of that
    name; none where labels are no numbered classes."""
    if isinstance(feature, list):
        return next((found for one in feature if (found := labels_in(one, field))), {})
    if not isinstance(feature, dict):
        return {}
    if field is None and feature.get("_type") == "ClassLabel":
        return dict(enumerate(feature.get("names") or ()))
    if field is not None and field in feature:
        return labels_in(feature[field])
    return labels_in(list(feature.values()), field)


def holds_numbers(cell: Any) -> bool:
    """Whether a cell could be of objects: numbers below two brackets, or a box by itself."""
    if isinstance(cell, list) and len(cell) == 4 and all(_is_number(one) for one in cell):
        return True
    return any(any(map(_is_number, _inside(one))) or holds_numbers(one) for one in _inside(cell))


def _inside(cell: Any) -> list[Any]:
    return [*cell.values()] if isinstance(cell, dict) else cell if isinstance(cell, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_numbers(kind: pa.DataType) -> bool:
    """Whether numbers are in a column, however deep."""
    if kind.num_fields:
        return any(has_numbers(kind.field(n).type) for n in range(kind.num_fields))
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _many(cell: Any, field: str) -> Any:
    """A column's cell as a list with one of each object, where it is of several."""
    if field == "point" and isinstance(cell, dict):
        x, y = cell.get("x"), cell.get("y")
        if isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
            return [list(pair) for pair in zip(x, y, strict=True)]
        raise RowError(f"points are {cell!r:.80}: x and y are not lists of one length")
    is_one = isinstance(cell, list) and cell and isinstance(cell[0], int | float)
    if field in ("box", "point", "polygon"):
        return [] if cell is None else [cell] if is_one else cell
    return cell


def _numbers(entry: Entry, names: Sequence[str] | None) -> Any:
    """The numbers of a box or point, from one field or from several; None where there are none."""
    if not names:
        return None
    if len(names) > 1:
        values = [entry.get(name) for name in names]
        return None if all(value is None for value in values) else values
    value = entry.get(names[0])
    return [value.get("x"), value.get("y")] if isinstance(value, dict) else value


def _rings(value: Any) -> Any:
    """Rings of x y x y ..., of one ring, of its pairs, or of rings."""
    if not isinstance(value, list) or not value:
        raise RowError(f"a polygon is {value!r:.80}, not a list of places")
    if not isinstance(value[0], list):
        return [value]
    if all(isinstance(one, list) and len(one) == 2 for one in value):
        return [[number for pair in value for number in pair]]
    return value


def _label(value: Any, names: dict[int, str]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if names and value not in names:
            raise RowError(f"the class {value} is none of the {len(names)} that are named")
        return names.get(value, str(value))
    raise RowError(f"a label is {value!r:.80}, neither text nor a whole number")
