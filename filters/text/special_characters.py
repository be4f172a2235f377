"""Share of a text that is not letters."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
from pydantic import Field, model_validator

from manifests.media import Media
from manifests.record import texts
from manifests.step import Outcome, RowStep
from manifests.step.bounds import Share, check_min_max, outside
from manifests.text.code_points import SPECIAL


class SpecialCharacters(RowStep):
    """Drop records by the share of their characters that are special.

    Special is every code point that is neither a letter nor a combining mark (Unicode categories
    L and M): punctuation, digits, symbols, emoji, control characters, and whitespace. Because
    whitespace counts, plain English prose has a share of about 0.2. A record without text has a
    share of 0.

    Source: BigScience (ROOTS, `parameters_filtering.py`) and OBELICS (`filtering_utils.py`) count
    ASCII punctuation, digits and whitespace, emoji, and a list of other characters. The rule by
    categories is ours, so that it covers every script. On ASCII text it gives the same number,
    except that control characters count here. Their list contains a few letters and vowel signs
    ("ø", "上", "ा"), which are not special here.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"ratio": pa.float64()}

    min: Share | None = Field(None, description="smallest share, 0 to 1; null: no bound")
    max: Share | None = Field(None, description="largest share, 0 to 1; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        from manifests.kernels import text_measures

        ratios = pa.array(text_measures.shares(texts(batch["content"]), SPECIAL))
        drop = outside(self, ratios, "too few special characters", "too many special characters")
        return Outcome({"ratio": ratios}, drop)
