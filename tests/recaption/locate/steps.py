"""A step that names objects."""

from __future__ import annotations

import pyarrow as pa

from manifests import record
from manifests.step import Columns, Context, RowStep


class FirstWord(RowStep):
    """Name the first word of the text, unless it is `none`."""

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"names": pa.list_(pa.string())}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        words = [text.split()[:1] for text in record.texts(batch["content"]).to_pylist()]
        names = [None if own == ["none"] else own for own in words]
        return {"names": pa.array(names, pa.list_(pa.string()))}
