"""The step `hierarchical`: keeps a sample that is balanced over clusters of clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate.sampling.selection import quotas
from curate.sampling.selection.counts import Count
from curate.sampling.selection.exponentials import exponential, one_minus_exponential
from curate.sampling.selection.limits import RANKED, Limit, inside, last_ranks, limits
from curate.sampling.selection.ordering import Order, column_of, ordered_ranks
from curate.sampling.selection.ranking import SEPARATOR, uniform_ranks
from manifests import record
from manifests.errors import StepError
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace, reasons


class Hierarchical(CorpusStep):
    """Keep `records` records, as equally as possible from all clusters, and drop the others.

    The column `of` lists the clusters of a record from the top level down, as `cluster` with
    several `levels` makes it. The number `records` is divided over the clusters of the top level:
    each gets min(x, its size) records, with x chosen so that the sum is `records`. The number of a
    cluster is divided in the same way over the clusters inside it, and so on. This is the
    hierarchical sampling of Vo et al. 2024 (arXiv 2405.15613). What is left after rounding goes to
    the first clusters in the order of their names (our choice).

    Inside the smallest clusters, records are chosen at random, by the hash of the recipe's seed and
    the record's id; with `order: cluster.distance`, those nearest to the centre are chosen.

    From each cluster, the records with the lowest `rank` are taken. `probability` is the
    probability that the record is kept, given the ranks of all others, as in the step `sample`;
    null with `order`. A record without clusters is dropped.
    """

    version: ClassVar[int] = 1
    uses_seed: ClassVar[bool] = True

    records: Count = Field(description="number of records to keep")
    of: str = Field("cluster.path", description="column that lists the clusters, the largest first")
    order: Order | None = Field(
        None,
        description="column by which the records of a cluster are taken, the lowest value first; "
        "null: at random",
    )

    def reads(self) -> tuple[str, ...]:
        own = () if self.order is None else (column_of(self.order),)
        return tuple(dict.fromkeys(("id", self.of, *own)))

    def measures(self) -> dict[str, pa.DataType]:
        return {"rank": pa.float64(), "probability": pa.float64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> dict[str, Limit | None]:
        """Returns the limit of each of the smallest clusters: its first record that is not
        kept."""
        return limits(corpus, workspace, _Ranking(self, seed), self._budgets)

    def _budgets(self, totals: dict[str, int]) -> dict[str, int]:
        paths = {tuple(name.split(SEPARATOR)): name for name in totals}
        depths = sorted({len(path) for path in paths})
        if len(depths) > 1:
            raise StepError(
                f"records have lists of {depths[0]} and of {depths[-1]} clusters",
                "the setting 'of'",
                "Name a column with the same number of clusters for every record.",
            )  # fmt: skip
        given = quotas.equal(self.records, {path: totals[paths[path]] for path in paths})
        return {paths[path]: amount for path, amount in given.items()}

    def apply(self, rows: pa.Table, fit: dict[str, Limit | None], context: Context) -> Outcome:
        names, rank = self.names(rows), self.ranks(rows, context.seed)
        no_path, no_value = np.asarray(names.is_null()), np.isnan(rank)
        names = names.fill_null("")
        kept = inside(names, rank, rows["id"], fit)
        last = last_ranks(names, fit)
        chance = one_minus_exponential(exponential(last))
        hidden = no_path if self.order is None else np.ones(len(rank), bool)
        columns = {
            "rank": pa.array(rank, mask=no_value),
            "probability": pa.array(chance, mask=hidden),
        }
        rules = (
            (no_path, "no cluster"),
            (no_value, "no value to order by"),
            (~kept, "not in the sample"),
        )
        return Outcome(columns, reasons(rows.num_rows, *rules))

    def names(self, rows: pa.Table) -> pa.Array:
        """Returns the clusters of each row, joined as text; null for a row without clusters."""
        lists = record.one_chunk(rows[self.of])
        kind = lists.type
        is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
        if not is_list or not (
            pa.types.is_integer(kind.value_type) or pa.types.is_string(kind.value_type)
        ):
            raise StepError(
                f"the column '{self.of}' has the type {kind}", "the setting 'of'",
                "Name a column of lists of clusters, such as cluster.path.",
            )  # fmt: skip
        joined = pc.binary_join(lists.cast(pa.list_(pa.string())), SEPARATOR)
        empty = pc.equal(pc.list_value_length(lists), 0)
        return pc.if_else(empty, pa.scalar(None, pa.string()), joined)

    def ranks(self, rows: pa.Table, seed: int) -> np.ndarray:
        if self.order is None:
            return uniform_ranks(rows["id"], seed)
        return ordered_ranks(rows, self.order, "order")


@dataclass(frozen=True)
class _Ranking:
    """Ranks the records of a part on a worker; leaves out records without clusters, or without a
    value to order by."""

    step: Hierarchical
    seed: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        names, rank = self.step.names(rows), self.step.ranks(rows, self.seed)
        ones = pa.array(np.ones(len(rank), np.int64))
        table = pa.table([names, pa.array(rank), rows["id"], ones], schema=RANKED)
        return table.filter(pa.array(np.asarray(names.is_valid()) & ~np.isnan(rank)))
