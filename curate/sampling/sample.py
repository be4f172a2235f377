"""Draws a uniform sample of the corpus: the records with the smallest hashes of (seed, id)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from manifests.record import random_keys
from manifests.step import Context, Corpus, CorpusStep, Outcome, Part, Workspace, reasons

_BIN_BITS = 16
"""Keys are counted in 2^16 bins (our choice). With a billion records, a bin has about 15,000
keys."""


class Sample(CorpusStep):
    """Keep `rows` records, or a `share` of them, at random, and drop the others.

    The records with the smallest hash of (recipe's seed, record's id) are kept: the same records
    for any number of workers and any order of parts. If there are fewer than `rows` records, all
    are kept. With one seed, the sample of 2 % contains the sample of 1 %.
    """

    version: ClassVar[int] = 2
    uses_seed: ClassVar[bool] = True

    rows: int | None = Field(None, ge=0, description="number of records to keep")
    share: float | None = Field(None, ge=0, le=1, description="share of the records to keep")

    @model_validator(mode="after")
    def _one_of_two(self) -> Sample:
        if (self.rows is None) == (self.share is None):
            raise ValueError("exactly one of `rows` and `share` must be set")
        return self

    def reads(self) -> tuple[str, ...]:
        return ("id",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"rank": pa.float64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> int | None:
        """Return the largest random key among the records that are kept; None if no record is kept.
        The random key of a record is a hash of (seed, id)."""
        total = sum(part.rows for part in corpus.parts)
        count = min(total, self.rows if self.rows is not None else round(total * (self.share or 0)))
        if count == 0:
            return None
        counts = np.zeros(1 << _BIN_BITS, np.int64)
        for _, found in workspace.map(_BinCounts(corpus, seed), corpus.parts):
            counts += found
        up_to = np.cumsum(counts)
        last = int(np.searchsorted(up_to, count))
        before = int(up_to[last - 1]) if last else 0
        keys = [k for _, k in workspace.map(_KeysOfBin(corpus, seed, last), corpus.parts)]
        return int(np.sort(np.concatenate(keys))[count - before - 1])

    def apply(self, rows: pa.Table, fit: int | None, context: Context) -> Outcome:
        keys = random_keys(rows["id"], context.seed)
        dropped = np.ones(len(keys), bool) if fit is None else keys > np.uint64(fit)
        rank = pa.array(keys.astype(np.float64) / 2.0**64)
        return Outcome({"rank": rank}, reasons(len(keys), (dropped, "not in the sample")))


@dataclass(frozen=True)
class _BinCounts:
    """Counts how many random keys of a part's records are in each bin, on a worker. The first bits
    of a key are its bin."""

    corpus: Corpus
    seed: int

    def __call__(self, part: Part) -> np.ndarray:
        bins = _bins(random_keys(self.corpus.read(part)["id"], self.seed))
        return np.bincount(bins, minlength=1 << _BIN_BITS)


@dataclass(frozen=True)
class _KeysOfBin:
    """Finds the random keys of a part's records that are in the bin `bin`, on a worker."""

    corpus: Corpus
    seed: int
    bin: int

    def __call__(self, part: Part) -> np.ndarray:
        keys = random_keys(self.corpus.read(part)["id"], self.seed)
        found: np.ndarray = keys[_bins(keys) == self.bin]
        return found


def _bins(keys: np.ndarray) -> np.ndarray:
    return (keys >> np.uint64(64 - _BIN_BITS)).astype(np.int64)
