"""The step `character_repetition`: drops records by how much their text repeats characters."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep, reasons
from manifests.step.bounds import Share


class CharacterRepetition(RowStep):
    """Drop records whose text repeats the same characters again and again.

    The measure is the share of the most frequent n-grams among all n-grams of characters (code
    points). If a text has d distinct n-grams, the most frequent n-grams are the sqrt(d) (rounded
    down) n-grams that occur most often, without n-grams that occur only once. "aaaaaaaaaaaa" has a
    share of 1; a text without a repeated n-gram, or shorter than `n`, has a share of 0.

    Source: BigScience (ROOTS, `filtering.py`) and OBELICS (`web_document_filtering.py`, which uses
    n = 10 and a maximum of 0.1), followed exactly.
    """

    n: PositiveInt = Field(10, description="characters in an n-gram")
    max: Annotated[Share | None, Bound()] = Field(
        None, description="largest share, 0 to 1; null: no bound"
    )

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"ratio": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        from manifests.kernels import text_measures

        ratios = text_measures.character_repetition(texts(batch["content"]), self.n)
        return {"ratio": pa.array(ratios)}

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.max is None:
            return None
        above = pc.greater(measured["ratio"], self.max)
        return reasons(measured.num_rows, (above, "repeated characters"))
