"""Checks that each column of a table, and each field inside a column, has a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from manifests.errors import FileError

_FIX = "Give each column and each field its own name, and write the table again."


def named(header: Sequence[str]) -> list[str]:
    """Returns the names of the columns of a header. If several names are blank, each blank name is
    replaced by the position of the column, from 1: `text,,` -> text, `column 2`, `column 3`."""
    if sum(not name.strip() for name in header) < 2:
        return list(header)
    return [name if name.strip() else f"column {n}" for n, name in enumerate(header, 1)]


def check_header(names: Sequence[str], line: int, uri: str) -> None:
    """Raises FileError if two columns of a table have the same name, because a row could have the
    value of only one of these columns. `line` is the line number of the header."""
    _check(names, f"line {line}: the header", "columns", uri)


def check_schema(schema: pa.Schema, uri: str) -> None:
    """Raises FileError if two columns of a file, or two fields inside a column, have the same
    name."""
    _check(schema.names, "the schema", "columns", uri)
    for field in schema:
        for path, kind in _structs(field.name, field.type):
            names = [kind.field(n).name for n in range(kind.num_fields)]
            _check(names, f"column {path!r}", "fields", uri)


def _check(names: Sequence[str], subject: str, what: str, uri: str) -> None:
    if len(set(names)) == len(names):
        return
    name = next(name for name in names if names.count(name) > 1)
    places = [str(n) for n, other in enumerate(names, 1) if other == name]
    listed = f"{', '.join(places[:-1])} and {places[-1]}"
    raise FileError(f"{subject} has the same name {name!r} for {what} {listed}.", uri, _FIX)


def _structs(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.StructType]]:
    """Yields the struct types inside a type, each with its path in the table: `a.b`. `path` is the
    path of the type itself."""
    if pa.types.is_struct(kind):
        yield path, kind
    for number in range(kind.num_fields):
        inner = kind.field(number)
        below = f"{path}.{inner.name}" if pa.types.is_struct(kind) else path
        yield from _structs(below, inner.type)
