"""A part as later passes read it: its file, and the sidecars of corpus steps applied to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import Commit
from manifests.storage import parts

DROP, ERROR = ".drop", ".error"
"""Columns of a sidecar: why a row is dropped, or quarantined; null if it is not."""


class PartView(NamedTuple):
    """A part file, and the sidecars that corpus steps wrote for it since, in order.

    A sidecar has a row for each row that is left at that point: the columns that the step adds,
    and whether it removes the row. `digest` identifies the content. `media_bytes` and `text_bytes`
    are estimates if a sidecar removed rows.
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
        """The part that a pass has just written to `uri`."""
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
        """The part after a corpus step, whose outcome for it lies at `uri`."""
        return self._replace(
            digest=fingerprint([self.digest, commit.digest]),
            rows=commit.rows,
            media_bytes=commit.media_bytes,
            text_bytes=commit.text_bytes,
            sidecars=(*self.sidecars, uri),
        )

    def read(self, batch_rows: int) -> Iterator[pa.Table]:
        """Batches of the rows that are left, with the columns that sidecars add."""
        sidecars = [_Sidecar(parts.read_columns(uri)) for uri in self.sidecars]
        for batch in parts.read(self.uri, batch_rows):
            yield _apply_all(sidecars, batch)

    def read_columns(self, columns: tuple[str, ...]) -> pa.Table:
        """Some columns of the rows that are left; no other column of the part is read."""
        sidecars = [_Sidecar(parts.read_columns(uri)) for uri in self.sidecars]
        added = {name for sidecar in sidecars for name in sidecar.table.column_names}
        own = tuple(name for name in columns if name not in added) or ("id",)
        return _apply_all(sidecars, parts.read_columns(self.uri, own)).select(list(columns))


class _Sidecar:
    """A sidecar that is read in slices, in step with the batches of its part."""

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
    """Add or replace the columns of the sidecar, then remove the rows it drops."""
    added = {n: sidecar[n] for n in sidecar.column_names if n not in (DROP, ERROR)}
    kept = pc.and_(sidecar[DROP].is_null(), sidecar[ERROR].is_null())
    return with_columns(batch, added).filter(kept)


def with_columns(batch: pa.Table, columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """The batch with these columns added, or replaced where it has them."""
    for name, values in columns.items():
        at = batch.schema.get_field_index(name)
        batch = batch.append_column(name, values) if at < 0 else batch.set_column(at, name, values)
    return batch
