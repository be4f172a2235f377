"""A uniform sample of the corpus: the records whose hash of (seed, id) is smallest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from manifests.record import random_keys
from manifests.step import Corpus, CorpusStep, Outcome, Part, Workspace, reasons


class Sample(CorpusStep):
    """Keep `rows` records, or a `share` of them, at random, and drop the others.

    The records with the smallest hash of (recipe's seed, record's id) are kept: the same ones for
    any number of workers and any order of parts. A sample of 2 % contains the sample of 1 %.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"rank": pa.float64()}

    rows: int | None = Field(None, ge=0, description="number of records to keep")
    share: float | None = Field(None, ge=0, le=1, description="share of the records to keep")

    @model_validator(mode="after")
    def _one_of_two(self) -> Sample:
        if (self.rows is None) == (self.share is None):
            raise ValueError("give either rows or share")
        return self

    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        limit = self._limit(corpus, workspace, seed)
        for part, keys in workspace.map(_Keys(corpus, seed), corpus.parts):
            dropped = keys > limit if limit is not None else np.ones(len(keys), bool)
            rank = pa.array(keys.astype(np.float64) / 2.0**64)
            yield part, Outcome({"rank": rank}, reasons(len(keys), (dropped, "not in the sample")))

    def _limit(self, corpus: Corpus, workspace: Workspace, seed: int) -> np.uint64 | None:
        """The largest random key that is kept; None if no record is."""
        total = sum(part.rows for part in corpus.parts)
        count = min(total, self.rows if self.rows is not None else round(total * (self.share or 0)))
        if count == 0:
            return None
        smallest = np.empty(0, np.uint64)
        for _, keys in workspace.map(_Keys(corpus, seed, count), corpus.parts):
            smallest = np.sort(np.concatenate([smallest, keys]))[:count]
        return np.uint64(smallest[-1])


@dataclass(frozen=True)
class _Keys:
    """The random keys of a part: uint64 [rows] in row order, or the `smallest` ones, sorted."""

    corpus: Corpus
    seed: int
    smallest: int | None = None

    def __call__(self, part: Part) -> np.ndarray:
        keys = random_keys(self.corpus.read(part)["id"], self.seed)
        return keys if self.smallest is None else np.sort(keys)[: self.smallest]
