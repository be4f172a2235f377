"""The ledger of a run: the row counts of its steps. For each step, rows in + rows made = rows kept
+ rows dropped + rows quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, Field

from manifests.errors import ManifestError


class Account(BaseModel):
    """The row counts of one step: how many rows the step got, made, kept, dropped and quarantined.

    `a + b` adds up two accounts of the same step. `dropped` counts rows by drop reason,
    `quarantined` counts rows by class of error.
    """

    step: str
    rows_in: int = 0
    made: int = Field(
        0, description="rows that a reshape step made, minus the rows that they replace"
    )
    kept: int = 0
    passed_over: int = Field(0, description="kept rows that the step's `only` did not select")
    dropped: dict[str, int] = Field(default_factory=dict)
    quarantined: dict[str, int] = Field(default_factory=dict)

    def __add__(self, other: Account) -> Account:
        return Account(
            step=self.step,
            rows_in=self.rows_in + other.rows_in,
            made=self.made + other.made,
            kept=self.kept + other.kept,
            passed_over=self.passed_over + other.passed_over,
            dropped=_sum(self.dropped, other.dropped),
            quarantined=_sum(self.quarantined, other.quarantined),
        )

    @property
    def rows_dropped(self) -> int:
        return sum(self.dropped.values())

    @property
    def rows_quarantined(self) -> int:
        return sum(self.quarantined.values())

    @property
    def removed(self) -> int:
        """The number of rows that were dropped or quarantined."""
        return self.rows_dropped + self.rows_quarantined

    @property
    def balances(self) -> bool:
        return self.rows_in + self.made == self.kept + self.removed


def _sum(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(a) + Counter(b)).items()))


def total(accounts: Iterable[Account]) -> list[Account]:
    """Adds up row counts: all accounts of one step become one account. Returns the accounts in the
    order in which the steps first appear."""
    sums: dict[str, Account] = {}
    for account in accounts:
        known = sums.get(account.step)
        sums[account.step] = known + account if known else account
    return list(sums.values())


def check(accounts: Iterable[Account], place: str) -> None:
    """Raises ManifestError if the row counts of a step do not add up: rows in + rows made must be
    rows kept + dropped + quarantined."""
    for account in accounts:
        if not account.balances:
            raise ManifestError(
                f"step {account.step} got {account.rows_in} rows and made {account.made}, but kept "
                f"{account.kept} and removed {account.removed}, so rows were lost or added",
                place,
                "Please report this: it is a mistake in curate.",
            )
