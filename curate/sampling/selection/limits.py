"""Finds the limit of each group: its first record that is not in the sample.

Records are taken in the order (rank, id) until the budget of their group is used up. The workers
count in bins how many records have ranks that start with the same bits. Then only the bin in which
a budget ends is divided further. If very many records have the same rank, their bin is divided by
the bits of their ids. So neither a worker nor the driver holds all ranks of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.step import Corpus, Part, Workspace
from manifests.step.grouped import Grouping

_BITS = 16
"""How many bits of a rank each round adds to a bin (our choice). A rank has 64 bits, and so has the
beginning of an id, so there are at most eight rounds."""
_FEW = 1 << 20
"""If the bins in which budgets end have at most this many records together, the driver collects
these records (our choice: 50 MB)."""

RANKED = pa.schema(
    [("group", pa.string()), ("rank", pa.float64()), ("id", pa.string()), ("amount", pa.int64())]
)
"""The columns of records that can be in a sample. `amount`: how much of its group's budget a record
uses."""
_BINS = pa.schema(
    [("group", pa.string()), ("bin", pa.int64()), ("records", pa.int64()), ("amount", pa.int64())]
)
_SUMS = Grouping(_BINS, ("sum", "sum"))


class Ranking(Protocol):
    """Ranks the records of a part, on a worker: returns the records that can be in the sample, with
    the schema RANKED."""

    def __call__(self, rows: pa.Table) -> pa.Table: ...


class Limit(NamedTuple):
    """The first record of a group that is not in the sample, in the order (rank, id). All records
    after it are not in the sample either."""

    rank: float
    id: str


NOTHING = Limit(-np.inf, "")
"""The limit of a group that has no record in the sample."""
EVERYTHING = Limit(np.inf, "g")
"""The limit of a group of which all records are in the sample: "g" is after all hex digits."""


class _Open(NamedTuple):
    """For each group, the bin in which its budget ends. `before`: the amount in all earlier bins.
    `prefix`: the first bits of the ranks in the bin, as a number. If `ranks` is not None, all
    records in the bin have the rank `ranks`, and `prefix` has the first bits of their ids."""

    groups: pa.Array
    before: np.ndarray
    prefix: np.ndarray
    ranks: np.ndarray | None = None


def limits(
    corpus: Corpus,
    workspace: Workspace,
    ranking: Ranking,
    budgets_of: Callable[[dict[str, int]], Mapping[str, int]],
) -> dict[str, Limit | None]:
    """Returns the limit of each group; None if the whole group is in the sample. `budgets_of`
    computes the budget of each group from the group's total amount; the result has only the groups
    to which `budgets_of` gives a budget."""
    shift = 64 - _BITS
    bins = _counted(workspace, corpus, _CountBins(corpus, ranking, shift, None))
    totals = _totals(bins)
    budgets = budgets_of(totals)
    found: dict[str, Limit | None] = {g: None if budgets[g] else NOTHING for g in budgets}
    cut = sorted(g for g in budgets if 0 < budgets[g] < totals[g])
    if not cut:
        return found
    groups = pa.array(cut, pa.string())
    budget = np.array([budgets[g] for g in cut], np.int64)
    start = _Open(groups, np.zeros(len(cut), np.int64), np.zeros(len(cut), np.uint64))
    opened, records = _narrowed(start, bins, budget)
    while records > _FEW and (shift or opened.ranks is None):
        if not shift:
            opened = opened._replace(prefix=np.zeros_like(opened.prefix), ranks=opened.prefix)
            shift = 64
        shift -= _BITS
        bins = _counted(workspace, corpus, _CountBins(corpus, ranking, shift, opened))
        opened, records = _narrowed(opened, bins, budget)
    collect = _Collect(corpus, ranking, shift, opened)
    rest = pa.concat_tables([table for _, table in workspace.map(collect, corpus.parts)])
    found.update(_first_outside(rest, opened, budget))
    return found


def last_ranks(group: pa.Array, found: Mapping[str, Limit | None]) -> np.ndarray:
    """Returns the rank of the limit of each record's group: infinity if the whole group is in the
    sample, minus infinity if the group has no budget."""
    number, cuts = _cuts(group, found)
    ranks: np.ndarray = np.array([cut.rank for cut in cuts], np.float64)[number]
    return ranks


def inside(
    group: pa.Array, rank: np.ndarray, ids: pa.ChunkedArray, found: Mapping[str, Limit | None]
) -> np.ndarray:
    """Returns bool (records,): whether each record is in the sample, because it is before the limit
    of its group in the order (rank, id)."""
    number, cuts = _cuts(group, found)
    last = np.array([cut.rank for cut in cuts], np.float64)[number]
    kept: np.ndarray = rank < last
    equal = np.flatnonzero(rank == last)
    cut_ids = pa.array([cut.id for cut in cuts], pa.string()).take(pa.array(number[equal]))
    kept[equal] = np.asarray(pc.less(ids.take(pa.array(equal)), cut_ids))
    return kept


def _cuts(group: pa.Array, found: Mapping[str, Limit | None]) -> tuple[np.ndarray, list[Limit]]:
    """Returns two values: for each record, the position of its group's limit in a list of limits;
    and this list."""
    coded = group.dictionary_encode()
    cuts = [found.get(name, NOTHING) for name in coded.dictionary.to_pylist()]
    return np.asarray(coded.indices), [EVERYTHING if cut is None else cut for cut in cuts]


def _totals(bins: pa.Table) -> dict[str, int]:
    sums = bins.group_by("group").aggregate([("amount", "sum")])
    return dict(zip(sums["group"].to_pylist(), sums["amount_sum"].to_pylist(), strict=True))


def _narrowed(opened: _Open, bins: pa.Table, budget: np.ndarray) -> tuple[_Open, int]:
    """Divides the bins `opened`. Returns the smaller bins in which the budgets end, and how many
    records these have together. `bins` has the counts of all smaller bins."""
    group = np.asarray(pc.index_in(bins["group"], opened.groups).fill_null(-1))
    bins, group = bins.filter(pa.array(group >= 0)), group[group >= 0]
    number = np.asarray(bins["bin"])
    order = np.lexsort((number, group))
    group, number = group[order], number[order]
    sizes, records = np.asarray(bins["amount"])[order], np.asarray(bins["records"])[order]
    up_to = _running(group, sizes, len(budget)) + opened.before[group]
    over = np.flatnonzero(up_to > budget[group])
    last = over[np.searchsorted(group[over], np.arange(len(budget)))]
    prefix = (opened.prefix << np.uint64(_BITS)) | number[last].astype(np.uint64)
    return opened._replace(before=up_to[last] - sizes[last], prefix=prefix), int(
        records[last].sum()
    )


def _running(group: np.ndarray, sizes: np.ndarray, groups: int) -> np.ndarray:
    """Returns the running sum of `sizes` inside each group. `group` is the number of each row's
    group; the rows are sorted by it."""
    starts = np.searchsorted(group, np.arange(groups))
    sums = np.cumsum(sizes)
    running: np.ndarray = sums - np.concatenate([[0], sums])[starts][group]
    return running


def _first_outside(rest: pa.Table, opened: _Open, budget: np.ndarray) -> dict[str, Limit | None]:
    """Returns, for each group, the first record that exceeds the budget. `rest` has the records of
    the bins `opened`."""
    rest = rest.sort_by([("group", "ascending"), ("rank", "ascending"), ("id", "ascending")])
    group = np.asarray(pc.index_in(rest["group"], opened.groups))
    up_to = _running(group, np.asarray(rest["amount"]), len(budget)) + opened.before[group]
    over = np.flatnonzero(up_to > budget[group])
    last = over[np.searchsorted(group[over], np.arange(len(budget)))]
    chosen = rest.take(pa.array(last))
    cuts = map(Limit, chosen["rank"].to_pylist(), chosen["id"].to_pylist())
    return dict(zip(chosen["group"].to_pylist(), cuts, strict=True))


@dataclass(frozen=True)
class _CountBins:
    """A task for a worker: counts the records of a part and sums their amounts, for each group and
    bin. Only the records in the bins `opened` are counted; None: all records are counted."""

    corpus: Corpus
    ranking: Ranking
    shift: int
    opened: _Open | None

    def __call__(self, part: Part) -> pa.Table:
        ranked = self.ranking(self.corpus.read(part))
        if self.opened is not None:
            ranked = _inside(ranked, self.opened, self.shift + _BITS)
        by_id = self.opened is not None and self.opened.ranks is not None
        word = record.id_keys(ranked["id"]) if by_id else _ordered_bits(ranked["rank"])
        bits = word >> np.uint64(self.shift)
        bins = (bits & np.uint64((1 << _BITS) - 1)).astype(np.int64)
        ones = pa.array(np.ones(len(bins), np.int64))
        columns = [ranked["group"], pa.array(bins), ones, ranked["amount"]]
        return _SUMS.of([pa.table(columns, schema=_BINS)])


@dataclass(frozen=True)
class _Collect:
    """A task for a worker: returns the records of a part that are in the bins `opened`."""

    corpus: Corpus
    ranking: Ranking
    shift: int
    opened: _Open

    def __call__(self, part: Part) -> pa.Table:
        return _inside(self.ranking(self.corpus.read(part)), self.opened, self.shift)


def _inside(ranked: pa.Table, opened: _Open, shift: int) -> pa.Table:
    """Returns the records that are in the bin of their group."""
    at = pc.index_in(ranked["group"], opened.groups)
    known = np.asarray(at.is_valid())
    own = np.asarray(at.fill_null(0))
    word = _ordered_bits(ranked["rank"])
    if opened.ranks is not None:
        known &= word == opened.ranks[own]
        word = record.id_keys(ranked["id"])
    if shift < 64:
        known &= word >> np.uint64(shift) == opened.prefix[own]
    return ranked.filter(pa.array(known))


def _ordered_bits(ranks: pa.ChunkedArray) -> np.ndarray:
    """Returns each rank as a uint64, in the same order as the ranks: all bits of a negative rank
    are inverted, and a positive rank gets the highest bit."""
    bits = (np.asarray(ranks, np.float64) + 0.0).view(np.int64)  # -0.0 becomes 0.0
    turned = (bits >> 63).view(np.uint64) | np.uint64(1 << 63)
    ordered: np.ndarray = bits.view(np.uint64) ^ turned
    return ordered


def _counted(workspace: Workspace, corpus: Corpus, count: _CountBins) -> pa.Table:
    """Returns the counts of all parts, summed by group and bin."""
    return _SUMS.of_many(table for _, table in workspace.map(count, corpus.parts))
