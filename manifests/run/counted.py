"""Counts of the files, lines, rows, elements or members of a source on disk, and of what became of
them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, Field


class Counted(BaseModel):
    """Counts the units of a source, and what became of them. A unit is a file, or a line, row,
    element or member of a file. For every kind of unit: found = used + failed + left aside.

    A unit that is neither used nor an error is left aside, such as a blank line. `a + b` adds up
    two counts. `found` is not counted by the parser, but by other code, as a check. In a range of a
    file where this is not possible, `found` is the sum of the other three, and `uncounted` is 1.
    """

    source: str
    unit: str = Field(description="plural word for what is counted, such as `lines`")
    found: int = 0
    used: int = Field(0, description="units that are in records; for files, those that were read")
    records: int = Field(0, description="records that were made of the used units")
    failed: int = Field(0, description="units from which no record could be made")
    left_aside: dict[str, int] = Field(
        default_factory=dict, description="number of unused units, by kind"
    )
    uncounted: int = Field(0, description="ranges of files whose units could not be counted")

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            source=self.source,
            unit=self.unit,
            found=self.found + other.found,
            used=self.used + other.used,
            records=self.records + other.records,
            failed=self.failed + other.failed,
            left_aside=dict(sorted((Counter(self.left_aside) + Counter(other.left_aside)).items())),
            uncounted=self.uncounted + other.uncounted,
        )

    @property
    def accounted(self) -> int:
        """The number of units (files, lines, rows, ...) that were used, failed or left aside."""
        return self.used + self.failed + sum(self.left_aside.values())

    @property
    def balances(self) -> bool:
        return self.found == self.accounted

    def __str__(self) -> str:
        """The counts as one line of text:
        `lines 100 = 97 in 97 records + 1 failed + 2 left aside (blank 2)`"""
        what = f"{self.unit} {self.found:,}" if self.found or not self.uncounted else self.unit
        sign = "=" if self.balances else "is NOT"
        text = f"{what} {sign} {' + '.join(self._terms())}"
        if self.uncounted:
            text += f"; not counted on disk: {self.uncounted:,} of the ranges that were read"
        return text

    def _terms(self) -> list[str]:
        is_listing = self.unit == FILES and not self.records
        records = "record" if self.records == 1 else "records"
        read = "read" if is_listing else f"in {self.records:,} {records}"
        terms = [f"{self.used:,} {read}"]
        if self.failed:
            terms.append(f"{self.failed:,} failed")
        if self.left_aside:
            kinds = ", ".join(f"{kind} {n:,}" for kind, n in self.left_aside.items())
            terms.append(f"{sum(self.left_aside.values()):,} left aside ({kinds})")
        return terms


FILES = "files"
"""The value of `unit` in an entry that counts files."""


def total_counted(entries: Iterable[Counted]) -> list[Counted]:
    """Adds up the counts that have the same source and the same unit, such as `lines`. Returns the
    sums, in the order in which the sources and units first appear."""
    sums: dict[tuple[str, str], Counted] = {}
    for entry in entries:
        key = entry.source, entry.unit
        sums[key] = sums[key] + entry if key in sums else entry
    return list(sums.values())
