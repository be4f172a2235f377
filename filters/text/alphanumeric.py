"""Share of a text that is letters and digits."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
from pydantic import Field, model_validator

from manifests.media import Media
from manifests.record import texts
from manifests.step import Outcome, RowStep
from manifests.step.bounds import Share, check_min_max, outside
from manifests.text.code_points import ALPHANUMERIC


class Alphanumeric(RowStep):
    """Drop records by the share of their characters that are letters or digits.

    Letters and digits are the code points for which Python's `str.isalnum()` is true, in every
    script: "ab 1" has a share of 0.75. Combining marks are not among them, so Hindi or Thai text
    has a lower share than English text of the same quality. A record without text has a share of 0.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"ratio": pa.float64()}

    min: Share | None = Field(None, description="smallest share, 0 to 1; null: no bound")
    max: Share | None = Field(None, description="largest share, 0 to 1; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        from manifests.kernels import text_measures

        ratios = pa.array(text_measures.shares(texts(batch["content"]), ALPHANUMERIC))
        drop = outside(self, ratios, "too few letters and digits", "too many letters and digits")
        return Outcome({"ratio": ratios}, drop)
