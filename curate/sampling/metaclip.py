"""The step `metaclip`: probabilities that flatten how often entities occur in a corpus."""

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
    """Give records a probability by which frequent entities are kept less often, as MetaCLIP does.

    An entity in n records of the corpus has the probability p = min(1, t / n), and a record that of
    at least one of its entities: 1 - the product of (1 - p). So at least t records are expected of
    each entity, or all if there are fewer, and a record without entities has the probability 0 (Xu
    et al. 2023, arXiv 2309.16671). `sample: {probability: metaclip.probability}` keeps each record
    with it. No record is dropped by this step.

    With `by: language` entities are counted in each language apart. `t` is that of the language
    `reference`, in which entities with fewer than t records have a share of all matches: the tail.
    In every other language t is the count up to which entities, from the rarest on, have the share
    nearest to it (MetaCLIP 2: Chuang et al. 2025, arXiv 2507.22062).
    """

    of: str = Field("entities.ids", description="column with a list of the entities of each record")
    t: PositiveInt = Field(
        20_000,
        description="records of an entity up to which all are kept (20,000: published for a pool "
        "from which 400 million pairs were kept)",
    )
    by: str | None = Field(None, description="column of groups with a t of their own; null: one t")
    reference: str = Field("en", description="group that has `t`, if `by` is set")

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
        """Returns the t of each group, from the counts of its entities."""
        if self.by is None or not counts:
            return [self.t] * len(counts)
        if self.reference not in counts:
            raise StepError(
                f"no record with entities has the value '{self.reference}' in '{self.by}'",
                "setting reference", f"Name one of: {', '.join(sorted(counts))}.",
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
    """Returns the count of the entity up to which entities, from the rarest on, have the share of
    all matches that is nearest to `share`: `limit_of_share([7, 1, 2], 0.3) -> 2`."""
    rising = np.sort(counts)
    shares = np.cumsum(rising) / rising.sum()
    return int(rising[np.abs(shares - share).argmin()])
