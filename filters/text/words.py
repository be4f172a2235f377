"""The step `words`: drops records by the number of words in their text."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import check_min_max, outside


class Words(RowStep):
    """Drop records whose text has fewer than `min` or more than `max` words.

    A word is what Python's `str.split()` gives: characters between whitespace, in any script. Text
    in a script without spaces (Chinese, Japanese, Thai) has few words: use `characters` for it. If
    a record has several texts, their words are counted together. A record without text has 0 words.

    Source: DataComp's basic filter counts words this way. OBELICS first strips punctuation, digits
    and emoji from both ends of each word, and leaves out words that are then empty.
    """

    min: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="fewest words; null: no bound"
    )
    max: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="most words; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        from manifests.kernels import text_measures

        return {"count": pa.array(text_measures.word_counts(texts(batch["content"])))}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(self, measured["count"], "too few words", "too many words")
