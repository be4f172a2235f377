"""The step `special_characters`: drops records by the share of characters that are not letters or
marks."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
from pydantic import Field, model_validator

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import Share, check_min_max, outside
from manifests.text.code_points import SPECIAL


class SpecialCharacters(RowStep):
    """Drop records by the share of their characters that are special.

    A code point is special if it is neither a letter nor a combining mark (Unicode categories L and
    M). So punctuation, digits, symbols, emoji, control characters and whitespace are special.
    Because whitespace counts, plain English prose has a share of about 0.2. A record without text
    has a share of 0.

    Source: BigScience (ROOTS, `parameters_filtering.py`) and OBELICS (`filtering_utils.py`) count
    ASCII punctuation, digits and whitespace, emoji, and a list of other characters. The rule by
    categories is ours, so that it covers every script. On ASCII text our rule gives the same share
    as their rule, except that control characters count here. The list of BigScience and OBELICS
    contains a few letters and vowel signs ("ø", "上", "ा"), which are not special here.
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

        return {"ratio": pa.array(text_measures.shares(texts(batch["content"]), SPECIAL))}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(
            self, measured["ratio"], "too few special characters", "too many special characters"
        )
