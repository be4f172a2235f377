"""The account of every record: in + made = out + dropped(reason) + quarantined(error)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, Field

from manifests.errors import ManifestError


class Account(BaseModel):
    """What became of the rows that came to one step. Accounts add."""

    step: str
    rows_in: int = 0
    made: int = Field(0, description="rows a reshape step added, less those it took in")
    kept: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    quarantined: dict[str, int] = Field(default_factory=dict)

    def __add__(self, other: Account) -> Account:
        return Account(
            step=self.step,
            rows_in=self.rows_in + other.rows_in,
            made=self.made + other.made,
            kept=self.kept + other.kept,
            dropped=_sum(self.dropped, other.dropped),
            quarantined=_sum(self.quarantined, other.quarantined),
        )

    @property
    def removed(self) -> int:
        return sum(self.dropped.values()) + sum(self.quarantined.values())

    @property
    def balances(self) -> bool:
        return self.rows_in + self.made == self.kept + self.removed


def _sum(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(a) + Counter(b)).items()))


def total(accounts: Iterable[Account]) -> list[Account]:
    """One account a step, in order of first appearance."""
    sums: dict[str, Account] = {}
    for account in accounts:
        known = sums.get(account.step)
        sums[account.step] = known + account if known else account
    return list(sums.values())


def check(accounts: Iterable[Account], place: str) -> None:
    """Raises ManifestError where a step's account does not balance."""
    for account in accounts:
        if not account.balances:
            raise ManifestError(
                f"step {account.step}: {account.rows_in} came, {account.made} made, but "
                f"{account.kept} kept and {account.removed} gone",
                place,
                "Records were lost or invented: please report this.",
            )
