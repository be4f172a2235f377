"""The step `word_repetition`: drops records by how much their text repeats words."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep, reasons
from manifests.step.bounds import Share


class WordRepetition(RowStep):
    """Drop records whose text repeats the same sequence of words again and again.

    The measure is the share of all n-grams of words that occur more than once: with n = 2, "a cat a
    cat" has the n-grams "a cat" (twice) and "cat a", and a share of 2 / 3. A text of fewer than `n`
    words has a share of 0. Words are split at whitespace, as in the step `words`, and lower-cased
    character by character.

    Source: BigScience (ROOTS, `filtering.py`) and OBELICS (`web_document_filtering.py`, which uses
    n = 5 and a maximum of 0.2 for documents, 0.1 for paragraphs). They also strip punctuation,
    digits and emoji from both ends of a word, and leave out words that are then empty. We only
    split the text, so that a word is the same in every step.
    """

    n: PositiveInt = Field(5, description="words in an n-gram")
    max: Annotated[Share | None, Bound()] = Field(
        None, description="largest share, 0 to 1; null: no bound"
    )

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"ratio": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        from manifests.kernels import text_measures

        ratios = text_measures.word_repetition(texts(batch["content"]), self.n)
        return {"ratio": pa.array(ratios)}

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.max is None:
            return None
        above = pc.greater(measured["ratio"], self.max)
        return reasons(measured.num_rows, (above, "repeated words"))
