"""A part as later passes see it: its file, less what corpus steps dropped, plus what they said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from manifests.storage import parts

DROP, ERROR = ".drop", ".error"
"""Columns of a sidecar: why a row goes, or could not be judged; null where it stays."""


class View(NamedTuple):
    """A part file and the sidecars of the corpus steps since, in order.

    `token` says what it holds; the bytes of media and text are estimates once a sidecar dropped
    some of the rows.
    """

    name: str
    uri: str
    token: str
    rows: int
    origin: str
    media_bytes: int = 0
    text_bytes: int = 0
    sidecars: tuple[str, ...] = ()

    def read(self, batch_rows: int) -> Iterator[pa.Table]:
        """Batches of the surviving rows, with the columns that sidecars add."""
        said = [_Aligned(parts.read_columns(uri)) for uri in self.sidecars]
        for batch in parts.read(self.uri, batch_rows):
            yield _seen(batch, said)

    def read_columns(self, columns: tuple[str, ...]) -> pa.Table:
        """Some columns of the surviving rows; the rest of the part is never touched."""
        said = [_Aligned(parts.read_columns(uri)) for uri in self.sidecars]
        given = {name for one in said for name in one.table.column_names}
        base = parts.read_columns(self.uri, tuple(c for c in columns if c not in given) or ("id",))
        return _seen(base, said).select(list(columns))


class _Aligned:
    """A sidecar handed out in step with the batches it belongs to."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self._at = table, 0

    def take(self, rows: int) -> pa.Table:
        cut = self.table.slice(self._at, rows)
        self._at += rows
        return cut


def _seen(batch: pa.Table, said: list[_Aligned]) -> pa.Table:
    for sidecar in said:
        batch = apply(batch, sidecar.take(batch.num_rows))
    return batch


def apply(batch: pa.Table, said: pa.Table) -> pa.Table:
    """Add or replace columns, then leave out the rows that go."""
    for name in said.column_names:
        if name in (DROP, ERROR):
            continue
        at = batch.schema.get_field_index(name)
        column = said[name]
        batch = batch.append_column(name, column) if at < 0 else batch.set_column(at, name, column)
    stays = pc.and_(said[DROP].is_null(), said[ERROR].is_null())
    return batch.filter(stays)
