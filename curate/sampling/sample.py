"""The step `sample`: keeps a random sample of the corpus, with weights, quotas and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, model_validator

from curate.sampling.selection import quotas
from curate.sampling.selection.counts import Count
from curate.sampling.selection.exponentials import exponential, one_minus_exponential
from curate.sampling.selection.limits import RANKED, Limit, inside, last_ranks, limits
from curate.sampling.selection.ranking import SEPARATOR, Chances, Ranked, chances_of, rank_rows
from manifests.setting_values import Names
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace, reasons
from manifests.step.bounds import Share


class Sample(CorpusStep):
    """Keep a random sample of the records, and drop the others.

    The size is one of `records`, `tokens`, `share` and `probability`. `records` is exact; `share`
    is exact too, and counts only records that have a weight over 0. With `tokens`, records are
    taken in order until the next one would exceed the budget, so the sample is below the budget by
    fewer tokens than that record has. Numbers may have a unit: `2B` is 2,000,000,000.

    Without `weight`, every record has the same chance. A record with weight 2 is chosen before a
    record with weight 1 with a probability of 2/3. `log_weight` is the logarithm of the weight, for
    weights that are too large or too small for a number. A record of weight 0 or without a weight
    is dropped. Records are taken in the order of u^(1/weight), the largest first, where u is a
    random number from 0 to 1, made from the recipe's seed and the record's id (Efraimidis and
    Spirakis 2006). So the sample is the same for any number of workers and any order of parts, a
    smaller sample is a part of a larger one, and a new record displaces only records after it in
    that order. With `probability`, each record is kept or dropped independently.

    `by` samples each group of records separately: a group is the records with the same value in a
    column. `records`, `tokens` and `share` may then have a number for each group (`{en: 2M, zh:
    1M}`); a group that is not named is dropped. Or `quotas` divides one total over the groups:
    `equal`, `proportional` to what the groups have, or in given proportions (`{en: 2, zh: 1}`). A
    group that has less than its quota gives all, and the other groups share the rest. With several
    columns, `equal` divides the total over the values of the first column, then the part of each
    value over the values of the next column. This is the hierarchical sampling of Vo et al. 2024,
    whose groups are clusters of clusters. Records without a value are the group `null`.

    `rank` is ln(-ln(u) / weight); the records with the lowest ranks of a group are kept.
    `probability` is the probability that the record is kept, given the ranks of all other records:
    1 - exp(-weight * t), where t is -ln(u) / weight of the first record of the group that is not
    kept. If the whole group is kept, it is 1 (Cohen and Kaplan 2007). The sum of 1 / `probability`
    over the sample is an unbiased estimate of the number of records from which the sample was
    taken.

    A record is quarantined if its weight is negative or infinite, its number of tokens is negative
    or over 2^40, or its probability is outside of 0 to 1.
    """

    version: ClassVar[int] = 4
    uses_seed: ClassVar[bool] = True
    renamed: ClassVar[dict[str, str]] = {"rows": "records"}

    records: Count | dict[str, Count] | None = Field(
        None, description="number of records to keep, or, with `by`, a number for each group"
    )
    tokens: Count | dict[str, Count] | None = Field(
        None,
        description="largest number of tokens to keep, or, with `by`, a number for each group",
    )
    share: Share | dict[str, Share] | None = Field(
        None,
        description="share of the records to keep; with `by`, one for all groups or one for each",
    )
    probability: str | None = Field(
        None, description="column with the probability that each record is kept"
    )
    weight: str | None = Field(None, description="column with the weight of each record")
    log_weight: str | None = Field(
        None, description="column with the natural logarithm of the weight of each record"
    )
    token_column: str = Field(
        "tokens.total", description="column with each record's number of tokens, for `tokens`"
    )
    by: Names = Field(
        (), description="column or columns; records with the same values in them are a group"
    )
    quotas: Literal["equal", "proportional"] | dict[str, NonNegativeFloat] | None = Field(
        None, description="how one total is divided over the groups"
    )

    @model_validator(mode="after")
    def _check_size(self) -> Sample:
        sizes = [self.records, self.tokens, self.share, self.probability]
        if sum(size is not None for size in sizes) != 1:
            raise ValueError(
                "exactly one of `records`, `tokens`, `share` and `probability` must be set"
            )
        if self.weight is not None and self.log_weight is not None:
            raise ValueError("only one of `weight` and `log_weight` can be set")
        used = self.weight or self.log_weight or self.by
        if self.probability is not None and used:
            raise ValueError(
                "with `probability` each record is kept or dropped on its own: `weight`, "
                "`log_weight` and `by` have no effect, so remove them"
            )
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Sample:
        size = self._size
        if (isinstance(size, dict) or self.quotas is not None) and not self.by:
            raise ValueError(
                "numbers for groups, and `quotas`, need the setting `by`, such as `by: language`"
            )
        named = isinstance(size, dict) or isinstance(self.quotas, dict)
        if named and len(self.by) > 1:
            raise ValueError("numbers for groups need a single column in `by`")
        divided = isinstance(size, int) and self.share is None
        if self.by and divided and self.quotas is None:
            raise ValueError(
                "one total with `by` needs `quotas`: equal, proportional, or proportions such as "
                "{en: 2, zh: 1}"
            )
        if self.quotas is not None and not divided:
            raise ValueError(
                "`quotas` divides one total of `records` or `tokens`, which is not set: remove "
                "`quotas`"
            )
        return self

    @property
    def _size(self) -> int | float | Mapping[str, int | float] | None:
        return next((s for s in (self.records, self.tokens, self.share) if s is not None), None)

    @property
    def _counted(self) -> str | None:
        """The column that a budget of tokens adds up; None if the size is not in tokens."""
        return None if self.tokens is None else self.token_column

    def reads(self) -> tuple[str, ...]:
        named = (self.weight, self.log_weight, self.probability, self._counted)
        columns = ("id", *self.by, *(name for name in named if name is not None))
        return tuple(dict.fromkeys(columns))

    def measures(self) -> dict[str, pa.DataType]:
        return {"rank": pa.float64(), "probability": pa.float64()}

    def fit(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> dict[str, Limit | None] | None:
        """Returns the limit of each group: the first record that is not kept, or None if all
        records are kept. If `probability` is set, there are no limits, and the result is None."""
        if self.probability is not None:
            return None

        def budgets(totals: dict[str, int]) -> dict[str, int]:
            self._note_if_few(sum(totals.values()), workspace)
            return self._budgets(totals)

        return limits(corpus, workspace, _Ranking(self, seed), budgets)

    def _note_if_few(self, total: int, workspace: Workspace) -> None:
        """States if there are fewer records, or tokens, than the sample asks for in all."""
        size = self.records if self.records is not None else self.tokens
        if isinstance(size, int) and total < size:
            what = "records" if self.records is not None else "tokens"
            workspace.note(
                f"{size:,} {what} are asked for, but only {total:,} can be in the sample"
            )

    def _budgets(self, totals: dict[str, int]) -> dict[str, int]:
        """Returns how many records or tokens of each group to keep. `totals` has the number of
        records or tokens in each group."""
        size = self._size
        if isinstance(size, dict):
            own = {group: size[group] for group in totals if group in size}
        else:
            own = dict.fromkeys(totals, size) if size is not None else {}
        if self.share is not None:
            return {group: round(totals[group] * share) for group, share in own.items()}
        if self.quotas is None:
            return {group: int(count) for group, count in own.items()}
        assert isinstance(size, int)
        return self._divided(size, totals)

    def _divided(self, total: int, totals: dict[str, int]) -> dict[str, int]:
        levels = len(self.by)
        paths = {tuple(group.split(SEPARATOR, levels - 1)): group for group in totals}
        available = {path: totals[group] for path, group in paths.items()}
        if self.quotas == "equal":
            given = quotas.equal(total, available)
        elif self.quotas == "proportional":
            given = quotas.proportional(total, available, available)
        else:
            assert isinstance(self.quotas, dict)
            weights: dict[quotas.Path, float] = {(g,): w for g, w in self.quotas.items()}
            given = quotas.proportional(total, available, weights)
        return {paths[path]: amount for path, amount in given.items()}

    def apply(
        self, rows: pa.Table, fit: dict[str, Limit | None] | None, context: Context
    ) -> Outcome:
        if fit is None:
            assert self.probability is not None
            return _decided(chances_of(rows, self.probability, context.seed))
        ranked = rank_rows(rows, context.seed, self.by, self.weight, self.log_weight, self._counted)
        return _selected(ranked, rows["id"], fit)


@dataclass(frozen=True)
class _Ranking:
    """Ranks the records of a part on a worker; leaves out records that cannot be in the sample."""

    step: Sample
    seed: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        step = self.step
        ranked = rank_rows(rows, self.seed, step.by, step.weight, step.log_weight, step._counted)
        columns = [ranked.group, pa.array(ranked.rank), rows["id"], pa.array(ranked.amount)]
        return pa.table(columns, schema=RANKED).filter(pa.array(ranked.possible))


def _decided(chances: Chances) -> Outcome:
    """Returns the outcome for records that are kept or dropped independently."""
    missing = np.isnan(chances.probability)
    columns = {
        "rank": pa.array(chances.rank),
        "probability": pa.array(chances.probability, mask=missing),
    }
    rules = ((missing, "no probability"), (~chances.kept, "not in the sample"))
    return Outcome(columns, reasons(len(missing), *rules), chances.errors)


def _selected(ranked: Ranked, ids: pa.ChunkedArray, fit: Mapping[str, Limit | None]) -> Outcome:
    """Returns the outcome for records that are kept up to the limit of their group."""
    has_quota = np.asarray(pc.is_in(ranked.group, pa.array([*fit], pa.string())))
    kept = inside(ranked.group, ranked.rank, ids, fit)
    last = last_ranks(ranked.group, fit)
    measured = ranked.possible
    # The expected number of times that a record would be drawn before the first one outside.
    with np.errstate(invalid="ignore"):
        times = exponential(np.where(measured, ranked.log_weight + last, -np.inf))
    columns = {
        "rank": pa.array(ranked.rank, mask=~measured),
        "probability": pa.array(one_minus_exponential(times), mask=ranked.unknown),
    }
    rules = (*ranked.rules, (~has_quota, "no quota"), (~kept, "not in the sample"))
    return Outcome(columns, reasons(len(kept), *rules), ranked.errors)
