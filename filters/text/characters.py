"""Number of characters in a record's text."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeInt, model_validator

from manifests.media import Media
from manifests.record import texts
from manifests.step import Outcome, RowStep
from manifests.step.bounds import check_min_max, outside


class Characters(RowStep):
    """Drop records whose text has fewer than `min` or more than `max` characters.

    A character is a Unicode code point, as in Python's `len(text)`: "é" may be one or two. If a
    record has several texts, they are joined by newlines and counted together. A record without
    text has 0.

    Source: DataComp's basic filter counts characters this way.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int32()}

    min: NonNegativeInt | None = Field(None, description="fewest characters; null: no bound")
    max: NonNegativeInt | None = Field(None, description="most characters; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        counts = pc.utf8_length(texts(batch["content"]))
        drop = outside(self, counts, "too few characters", "too many characters")
        return Outcome({"count": counts}, drop)
