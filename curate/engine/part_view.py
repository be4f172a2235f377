"""A view of a part for later passes: its file, with the sidecars of later steps applied. A sidecar
is a file beside a part with new columns for its rows, and marks for rows that a step removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import Commit
from manifests.storage import parts

DROP, ERROR = ".drop", ".error"
"""Columns of a sidecar: the reason why a row is dropped, and the error for which a row is
quarantined. Both are null for a row that is not removed."""


class PartView(NamedTuple):
    """A part file, and the sidecars that steps wrote for it later, in order.

    A sidecar has one row for each row that earlier sidecars did not remove. It has new columns, and
    marks the rows that its step removed. Columns whose names start with a dot pass data from a
    step's first pass to its second; they are read only if requested by name. `digest` identifies
    the content. `media_bytes` and `text_bytes` are the total sizes of the media and texts of the
    part; if a sidecar has removed rows, they are estimates.
    """

    name: str
    uri: str
    digest: str
    rows: int
    origin: str
    media_bytes: int = 0
    text_bytes: int = 0
    sidecars: tuple[str, ...] = ()

    @classmethod
    def of_commit(cls, commit: Commit, uri: str) -> PartView:
        """Return the view of a part that a pass has just written to the file `uri`. `commit` is the
        part's list of files and counts."""
        return cls(
            name=commit.part,
            uri=uri,
            digest=fingerprint([commit.part, commit.digest]),
            rows=commit.rows,
            origin=commit.origin,
            media_bytes=commit.media_bytes,
            text_bytes=commit.text_bytes,
        )

    def with_sidecar(self, commit: Commit, uri: str) -> PartView:
        """Return the view of the part after one more step. `uri` is the sidecar of the step: a file
        with new columns for the part's rows, and marks for rows that the step removed. `commit`
        states the counts and the digest of the file."""
        return self._replace(
            digest=fingerprint([self.digest, commit.digest]),
            rows=commit.rows,
            media_bytes=commit.media_bytes,
            text_bytes=commit.text_bytes,
            sidecars=(*self.sidecars, uri),
        )

    def with_measures(self, commit: Commit, uri: str) -> PartView:
        """Return the view of the part with the measures in the file `uri` added as columns. All
        rows stay. `commit` states the digest of the file."""
        return self._replace(
            digest=fingerprint([self.digest, commit.digest]), sidecars=(*self.sidecars, uri)
        )

    def read(self, batch_rows: int, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        """Yield batches of the rows that no step has removed, with the columns that sidecars (files
        of later steps) add.

        `columns` lists all columns to read; None means every column whose name has no leading
        dot.
        """
        sidecars, own = self._opened(columns)
        for batch in parts.read(self.uri, batch_rows, own):
            table = _apply_all(sidecars, batch)
            shown = [name for name in table.column_names if not name.startswith(".")]
            yield table.select(shown if columns is None else list(columns))

    def read_columns(
        self,
        columns: tuple[str, ...],
        read: Callable[[str, tuple[str, ...] | None], pa.Table] = parts.read_columns,
    ) -> pa.Table:
        """Read some columns of the rows that no step has removed. Other columns of the part's own
        file are not read; sidecars (files of later steps) are read as a whole.

        `read` is the function that reads a file. Pass `parts.read_checked` if an earlier process
        wrote the files.
        """
        sidecars, own = self._opened(columns, read)
        return _apply_all(sidecars, read(self.uri, own)).select(list(columns))

    def _opened(
        self,
        columns: tuple[str, ...] | None,
        read: Callable[[str, tuple[str, ...] | None], pa.Table] = parts.read_columns,
    ) -> tuple[list[_Sidecar], tuple[str, ...] | None]:
        """Open the sidecar files for reading the given columns (None: all columns). Also return the
        names of the given columns that are in the part file itself. `read` reads the columns of a
        file."""
        tables = [read(uri, None) for uri in self.sidecars]
        if columns is None:
            return [_Sidecar(table) for table in tables], None
        added = {name for table in tables for name in table.column_names}
        needed = {*columns, DROP, ERROR}
        sidecars = [_Sidecar(t.select([n for n in t.column_names if n in needed])) for t in tables]
        return sidecars, tuple(name for name in columns if name not in added) or ("id",)


class _Sidecar:
    """Reads a sidecar (a file with new columns for the rows of a part) in slices. Each slice has
    the rows of one batch of the part."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self._start = table, 0

    def next_slice(self, rows: int) -> pa.Table:
        piece = self.table.slice(self._start, rows)
        self._start += rows
        return piece


def _apply_all(sidecars: list[_Sidecar], batch: pa.Table) -> pa.Table:
    for sidecar in sidecars:
        batch = _apply(sidecar.next_slice(batch.num_rows), batch)
    return batch


def _apply(sidecar: pa.Table, batch: pa.Table) -> pa.Table:
    """Add the columns of the sidecar to a batch, replacing columns of the same name; then remove
    the rows that the sidecar marks as removed, if any."""
    added = {n: sidecar[n] for n in sidecar.column_names if n not in (DROP, ERROR)}
    table = with_columns(batch, added)
    if DROP not in sidecar.column_names:
        return table
    return table.filter(pc.and_(sidecar[DROP].is_null(), sidecar[ERROR].is_null()))


def with_columns(batch: pa.Table, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Add these columns to the batch; a column that the batch already has is replaced."""
    for name, values in columns.items():
        at = batch.schema.get_field_index(name)
        batch = batch.append_column(name, values) if at < 0 else batch.set_column(at, name, values)
    return batch
