"""Reads tables of entities: their ids, names, aliases, categories, prominences and languages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from manifests import storage
from manifests.errors import InputError
from manifests.storage import File
from manifests.tables import Kind, Row, kind_of, lines, rows

ALIAS_SEPARATOR = "|"
"""Separates the aliases in a cell that is text, as in CSV (our choice)."""


class Fields(NamedTuple):
    """The names of the fields of a table; None if the table does not have the field."""

    name: str
    id: str | None
    aliases: str | None
    category: str | None
    prominence: str | None
    language: str | None


class Entity(NamedTuple):
    """One row of a table. `names`: the name and the aliases. `prominence`: NaN if it is unknown.
    `language`: the only language in which the entity is found; None: any. `place`: the file and the
    row, for error messages."""

    id: str
    names: tuple[str, ...]
    category: str | None
    prominence: float
    language: str | None
    place: str


def files_of(place: str) -> list[tuple[File, Kind]]:
    """Returns the files of a table and their formats. Raises InputError if there is no file, or if
    a file is not a table."""
    found: list[tuple[File, Kind]] = []
    for file in storage.list_files(place):
        kind = kind_of(file.name)
        if kind is None or kind is Kind.IMAGE:
            fix = "Write a path that leads only to CSV, TSV, Parquet, JSON lines or .txt files."
            raise InputError("this file is not a table of entities.", file.uri, fix)
        found.append((file, kind))
    if not found:
        raise InputError("the path of the entities leads to no file.", place, "Correct the path.")
    return found


def entities_of(place: str, fields: Fields) -> Iterator[Entity]:
    """Yields the entities of all files. In a .txt file each line is a name. Raises InputError for a
    row that is not an entity, for an id that occurs twice in a language, and if there is no
    entity."""
    known: dict[tuple[str, str | None], str] = {}
    for file, kind in files_of(place):
        for entity in _of_file(file, kind, fields):
            before = known.setdefault((entity.id, entity.language), entity.place)
            if before != entity.place:
                raise InputError(
                    f"the id '{entity.id}' occurs twice, first in {before}.", entity.place,
                    "Give each entity its own id, in the field that the setting `id` names.",
                )  # fmt: skip
            yield entity
    if not known:
        raise InputError("the table has no entities.", place, "Correct the path of the entities.")


def _of_file(file: File, kind: Kind, fields: Fields) -> Iterator[Entity]:
    if kind is Kind.LINES:
        for number, line in lines(file):
            yield Entity(line, (line,), None, math.nan, None, f"{file.uri}#{number}")
        return
    wanted = [field for field in fields if field is not None]
    for number, row in rows(file, kind, wanted):
        yield _entity(row, fields, f"{file.uri}#{number}")


def _entity(row: Row, fields: Fields, place: str) -> Entity:
    name = _text(row, fields.name, place)
    if name is None:
        raise InputError(f"the field '{fields.name}' is empty.", place, "Give every entity a name.")
    return Entity(
        _text(row, fields.id, place) or name,
        (name, *_aliases(row, fields.aliases, place)),
        _text(row, fields.category, place),
        _number(row, fields.prominence, place),
        _text(row, fields.language, place),
        place,
    )


def _text(row: Row, field: str | None, place: str) -> str | None:
    """Returns the text of a cell without spaces around it; None if the cell is empty. Raises
    InputError if the cell is not text or a whole number."""
    cell = row.get(field) if field is not None else None
    if cell is None:
        return None
    if isinstance(cell, bool | list | dict | bytes | float):
        raise InputError(f"the field '{field}' is {cell!r:.80}, which is not text.", place)
    return str(cell).strip() or None


def _aliases(row: Row, field: str | None, place: str) -> list[str]:
    cell: Any = row.get(field) if field is not None else None
    if cell is None:
        return []
    given = cell.split(ALIAS_SEPARATOR) if isinstance(cell, str) else cell
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise InputError(
            f"the field '{field}' is {cell!r:.80}, which is not a list of text.", place
        )
    return [one.strip() for one in given if one.strip()]


def _number(row: Row, field: str | None, place: str) -> float:
    """Returns the prominence in a cell; NaN if the cell is empty. Raises InputError if the cell is
    not a finite number of at least 0."""
    cell = row.get(field) if field is not None else None
    if cell is None or cell == "":
        return math.nan
    try:
        number = math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        fault = f"the field '{field}' is {cell!r:.80}, which is not a prominence."
        raise InputError(fault, place, "Write a number that is not negative.")
    return number
