"""How much of a text repeats itself, character by character."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from manifests.media import Media
from manifests.record import texts
from manifests.step import Outcome, RowStep, reasons
from manifests.step.bounds import Share


class CharacterRepetition(RowStep):
    """Drop records whose text says the same stretch of characters again and again.

    Of all n-grams of characters (code points) of the text, the measure is the share that the most
    frequent ones have: as many as the square root, rounded down, of the number of distinct
    n-grams, but only such as occur more than once. 0 where nothing repeats, or where the text is
    shorter than `n`; 1 in "aaaaaaaaaaaa".

    Source: BigScience (ROOTS, `filtering.py`) and OBELICS (`web_document_filtering.py`, which uses
    n = 10 and a maximum of 0.1), followed exactly.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"ratio": pa.float64()}

    n: PositiveInt = Field(10, description="characters in an n-gram")
    max: Share | None = Field(None, description="largest share, 0 to 1; null: no bound")

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        from manifests.kernels import text_measures

        ratios = pa.array(text_measures.character_repetition(texts(batch["content"]), self.n))
        rules = [] if self.max is None else [(pc.greater(ratios, self.max), "repeated characters")]
        return Outcome({"ratio": ratios}, reasons(len(ratios), *rules))
