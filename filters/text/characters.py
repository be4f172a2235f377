"""The step `characters`: drops records by the number of characters in their text."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeInt, model_validator

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import check_min_max, outside


class Characters(RowStep):
    """Drop records whose text has fewer than `min` or more than `max` characters.

    A character is a Unicode code point, as in Python's `len(text)`: "é" may be one or two
    characters. If a record has several texts, they are joined by newlines and counted together. A
    record without text has 0 characters.

    Source: DataComp's basic filter counts characters this way.
    """

    min: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="fewest characters; null: no bound"
    )
    max: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="most characters; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"count": pc.utf8_length(texts(batch["content"]))}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(self, measured["count"], "too few characters", "too many characters")
