"""Corpora for the tests of sampling, and what a step keeps of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate.sampling.sample import Sample
from manifests import record
from tests.filters.corpus_steps import MemoryCorpus, decide

SEED = 17


class Kept(NamedTuple):
    """What the step `sample` answered, in the order of the rows of the corpus."""

    mask: np.ndarray
    probability: np.ndarray
    rank: np.ndarray
    drop: list[str | None]
    errors: list[str | None]


def table(rows: int, first: int = 0, **columns: Any) -> pa.Table:
    """Records with ids, and other columns. `first` is the number of the first record."""
    ids = record.record_ids("made", [str(n) for n in range(first, first + rows)])
    return pa.table({"id": ids, **columns})


def in_parts(whole: pa.Table, parts: int) -> MemoryCorpus:
    edges = np.linspace(0, whole.num_rows, parts + 1).astype(int)
    return MemoryCorpus(tuple(whole.slice(a, b - a) for a, b in pairwise(edges)))


def sampled(
    whole: pa.Table | MemoryCorpus, seed: int = SEED, parts: int = 4, **settings: Any
) -> Kept:
    corpus = in_parts(whole, parts) if isinstance(whole, pa.Table) else whole
    outcomes = [outcome for _, outcome in decide(Sample(**settings), corpus, seed)]

    def column(name: str) -> np.ndarray:
        arrays = [np.asarray(o.columns[name].fill_null(np.nan)) for o in outcomes]
        return np.concatenate(arrays)

    drop = [reason for o in outcomes for reason in (o.drop.to_pylist() if o.drop else [])]
    errors = [m for o in outcomes if o.errors for m in o.errors.table["message"].to_pylist()]
    mask = np.array([reason is None for reason in drop])
    return Kept(mask, column("probability"), column("rank"), drop, errors)
