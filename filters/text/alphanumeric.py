"""The step `alphanumeric`: drops records by the share of letters and digits in their text."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from pydantic import Field, model_validator

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import Share, check_min_max, outside
from manifests.text.code_points import ALPHANUMERIC


class Alphanumeric(RowStep):
    """Drop records by the share of their characters that are letters or digits.

    Letters and digits are the code points for which Python's `str.isalnum()` is true, in every
    script: "ab 1" has a share of 0.75. Combining marks do not count, so Hindi or Thai text has a
    lower share than English text of the same quality. A record without text has a share of 0.
    """

    min: Annotated[Share | None, Bound()] = Field(
        None, description="smallest share, 0 to 1; null: no bound"
    )
    max: Annotated[Share | None, Bound()] = Field(
        None, description="largest share, 0 to 1; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"ratio": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        from manifests.kernels import text_measures

        return {"ratio": pa.array(text_measures.shares(texts(batch["content"]), ALPHANUMERIC))}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(
            self, measured["ratio"], "too few letters and digits", "too many letters and digits"
        )
