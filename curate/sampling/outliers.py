"""The step `outliers`: drops the records that are farthest from all others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from curate.sampling.representatives import RankByColumn
from curate.sampling.selection.limits import Limit, inside, limits
from curate.sampling.selection.ordering import Order, column_of, ordered_ranks
from curate.sampling.selection.ranking import groups
from manifests.setting_values import Names
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace, reasons
from manifests.step.bounds import Share, check_min_max, outside


class Outliers(CorpusStep):
    """Drop outliers: the `share` of records with the lowest values of a column.

    By default the column is the density: the mean cosine to the nearest records. With a minus
    before the name, the records with the highest values are dropped (`of: -cluster.distance`). With
    `by`, this share of each group is dropped. The number of dropped records is the share of the
    records, rounded; of equal values, the record with the lower id is dropped.

    If `min` or `max` is set instead of `share`, the records with a value under `min` or over `max`
    are dropped (`of: cluster.distance, max: 0.6`). A record without a value stays.
    """

    version: ClassVar[int] = 1

    of: Order = Field("cluster.density", description="column of numbers; the lowest are outliers")
    share: Share | None = Field(None, description="share of the records to drop")
    by: Names = Field((), description="column or columns whose groups each lose this share")
    min: float | None = Field(None, description="drop records with a lower value")
    max: float | None = Field(None, description="drop records with a higher value")

    @model_validator(mode="after")
    def _check_settings(self) -> Outliers:
        bounds = self.min is not None or self.max is not None
        if bounds == (self.share is not None):
            raise ValueError("either `share`, or one or both of `min` and `max`, must be set")
        if bounds and (self.by or self.of.startswith("-")):
            raise ValueError(
                "`by` and a minus in `of` are for `share`: remove them, or set `share` instead of "
                "`min` and `max`"
            )
        return check_min_max(self)

    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("id", *self.by, column_of(self.of))))

    def fit(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> dict[str, Limit | None] | None:
        """Returns the limit of each group: its first record that stays. If `min` or `max` is set,
        there are no limits, and the result is None."""
        share = self.share
        if share is None:
            return None
        ranking = RankByColumn(self.of, "of", self.by)
        return limits(
            corpus,
            workspace,
            ranking,
            lambda totals: {group: round(total * share) for group, total in totals.items()},
        )

    def apply(
        self, rows: pa.Table, fit: dict[str, Limit | None] | None, context: Context
    ) -> Outcome:
        rank = ordered_ranks(rows, self.of, "of")
        if fit is None:
            values = pa.array(rank, mask=np.isnan(rank))
            return Outcome({}, outside(self, values, "outlier", "outlier"))
        dropped = inside(groups(rows, self.by), rank, rows["id"], fit)
        return Outcome({}, reasons(rows.num_rows, (dropped, "outlier")))
