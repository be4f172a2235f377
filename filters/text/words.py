"""Number of words in a record's text."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.media import Media
from manifests.record import texts
from manifests.step import Outcome, RowStep
from manifests.step.bounds import check_min_max, outside


class Words(RowStep):
    """Drop records whose text has fewer than `min` or more than `max` words.

    A word is what Python's `str.split()` gives: characters between whitespace, in any script. Text
    in a script without spaces (Chinese, Japanese, Thai) has few words: use `characters` for it. If
    a record has several texts, their words are counted together. A record without text has 0.

    Source: DataComp's basic filter counts words this way. OBELICS first strips punctuation, digits
    and emoji from both ends of each word, and leaves out words that are then empty.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int32()}

    min: NonNegativeInt | None = Field(None, description="fewest words; null: no bound")
    max: NonNegativeInt | None = Field(None, description="most words; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        from manifests.kernels import text_measures

        counts = pa.array(text_measures.word_counts(texts(batch["content"])))
        return Outcome({"count": counts}, outside(self, counts, "too few words", "too many words"))
