"""The step `representatives`: keeps the records nearest to the centre of each cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from curate.sampling.selection.limits import RANKED, Limit, inside, limits
from curate.sampling.selection.ordering import Order, column_of, ordered_ranks
from curate.sampling.selection.ranking import groups
from manifests.setting_values import Names
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace, reasons


class Representatives(CorpusStep):
    """Keep the `count` records nearest to the centre of each cluster, and drop the others.

    `order` names any column of numbers: the records of a group with the lowest values are kept;
    with a minus before the name (`-cluster.density`), those with the highest. Of records with equal
    values, those with the lower ids are kept. A record without a value is dropped. A group with
    fewer than `count` records keeps all of them. Records without a cluster form a group as well.
    """

    version: ClassVar[int] = 1

    count: PositiveInt = Field(description="number of records to keep of each group")
    by: Names = Field(
        ("cluster.id",), description="column or columns; records with the same values are a group"
    )
    order: Order = Field(
        "cluster.distance", description="column by which records are taken, the lowest value first"
    )

    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("id", *self.by, column_of(self.order))))

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> dict[str, Limit | None]:
        """Returns the limit of each group: its first record that is not kept."""
        ranking = RankByColumn(self.order, "order", self.by)
        return limits(corpus, workspace, ranking, lambda totals: dict.fromkeys(totals, self.count))

    def apply(self, rows: pa.Table, fit: dict[str, Limit | None], context: Context) -> Outcome:
        rank = ordered_ranks(rows, self.order, "order")
        missing = np.isnan(rank)
        kept = inside(groups(rows, self.by), rank, rows["id"], fit)
        rules = ((missing, "no value to order by"), (~kept, "not a representative"))
        return Outcome({}, reasons(rows.num_rows, *rules))


@dataclass(frozen=True)
class RankByColumn:
    """Ranks the records of a part by a column, on a worker; leaves out records without a value.
    `setting` is the setting that names the column."""

    order: str
    setting: str
    by: tuple[str, ...]

    def __call__(self, rows: pa.Table) -> pa.Table:
        rank = ordered_ranks(rows, self.order, self.setting)
        ones = pa.array(np.ones(len(rank), np.int64))
        columns = [groups(rows, self.by), pa.array(rank), rows["id"], ones]
        return pa.table(columns, schema=RANKED).filter(pa.array(~np.isnan(rank)))
