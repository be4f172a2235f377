"""The step `metaclip`: gives records of frequent entities a lower probability to be kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from curate.sampling.selection.list_counts import count_values
from curate.sampling.selection.value_probabilities import record_probabilities, write_probabilities
from manifests.errors import StepError
from manifests.record import one_chunk
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace


class Metaclip(CorpusStep):
    """Give records a probability by which frequent entities are kept less often, as in MetaCLIP.

    An entity that n records of the corpus have gets the probability p = min(1, t / n).
    `probability` of a record is the probability that at least one of its entities is drawn: 1 - the
    product of (1 - p). So at least t records of each entity are expected to be kept, or all if
    there are fewer. A record without entities has the probability 0 (Xu et al. 2023, arXiv
    2309.16671). `sample: {probability: metaclip.probability}` keeps each record with its
    probability. This step drops no record.

    With `by: language`, each language has its own counts and its own t. In the language
    `reference`, t is the setting `t`. The entities of this language with fewer than t records are
    its tail, and the tail has a certain share of all matches of the language. In every other
    language, counts are added up from the rarest entity on, until their share of all matches is
    nearest to this share; t is the last count added (MetaCLIP 2: Chuang et al. 2025, arXiv
    2507.22062).
    """

    of: str = Field("entities.ids", description="column with the list of each record's entities")
    t: PositiveInt = Field(
        20_000,
        description="an entity with at most this many records keeps all of them (20,000: published "
        "for a pool from which 400 million pairs were kept)",
    )
    by: str | None = Field(
        None, description="column whose groups each have their own t; null: one t for all"
    )
    reference: str = Field("en", description="group whose t is the setting `t`, if `by` is set")

    def reads(self) -> tuple[str, ...]:
        return (self.of,) if self.by is None else (self.of, self.by)

    def measures(self) -> dict[str, pa.DataType]:
        return {"probability": pa.float64()}

    @property
    def _by(self) -> tuple[str, ...]:
        return () if self.by is None else (self.by,)

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> str:
        """Returns the path of a file with the probability of each entity in each group."""
        table = count_values(corpus, workspace, self.of, self._by)
        counts = np.asarray(table["count"])
        coded = one_chunk(table["group"]).dictionary_encode()
        names, group = coded.dictionary.to_pylist(), np.asarray(coded.indices)
        limits = np.array(self._limits({n: counts[group == i] for i, n in enumerate(names)}))
        probabilities = np.minimum(1, limits[group] / counts) if len(counts) else np.empty(0)
        return write_probabilities(workspace, table["group"], table["value"], probabilities)

    def _limits(self, counts: dict[str, np.ndarray]) -> list[int]:
        """Returns the t of each group. `counts` has, for each group, the number of records of each
        entity."""
        if self.by is None or not counts:
            return [self.t] * len(counts)
        if self.reference not in counts:
            raise StepError(
                f"no record with entities has the value '{self.reference}' in the column "
                f"'{self.by}'",
                "the setting 'reference'", f"Name one of: {', '.join(sorted(counts))}.",
            )  # fmt: skip
        tail = tail_share(counts[self.reference], self.t)
        return [
            self.t if name == self.reference else limit_of_share(own, tail)
            for name, own in counts.items()
        ]

    def apply(self, rows: pa.Table, fit: str, context: Context) -> Outcome:
        return Outcome({"probability": record_probabilities(rows, self.of, self._by, fit)})


def tail_share(counts: np.ndarray, t: int) -> float:
    """Returns the share of all matches that entities with fewer than t matches have.

    `tail_share([1, 2, 7], 5) -> 0.3`
    """
    return float(counts[counts < t].sum() / counts.sum())


def limit_of_share(counts: np.ndarray, share: float) -> int:
    """Adds up the counts, the smallest first, until their share of the sum is nearest to `share`.
    Returns the last count added: `limit_of_share([7, 1, 2], 0.3) -> 2`."""
    rising = np.sort(counts)
    shares = np.cumsum(rising) / rising.sum()
    return int(rising[np.abs(shares - share).argmin()])
