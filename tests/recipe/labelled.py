"""A step with a setting that is only a label."""

from __future__ import annotations

import pyarrow as pa

from manifests.step import Columns, Context, RowStep


class Labelled(RowStep):
    """Keep everything."""

    label: str = ""

    def reads(self) -> tuple[str, ...]:
        return ()

    def measures(self) -> dict[str, pa.DataType]:
        return {}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {}

    def decide(self, measured: pa.Table) -> pa.Array | None:
        return None
