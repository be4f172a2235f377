"""Counts what a journal contains: replies, tokens, the money that they cost, and what was saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manifests import storage
from manifests.step import Prices
from recaption.client.entries import lines


@dataclass
class Cost:
    """The total cost of some replies. `money` has the amount in each currency, and `unpriced` is
    the number of replies for which no price is known."""

    replies: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced: int = 0
    money: dict[str, float] = field(default_factory=dict)

    def add(self, other: Cost) -> None:
        self.replies += other.replies
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.unpriced += other.unpriced
        for currency, money in other.money.items():
            self.money[currency] = self.money.get(currency, 0.0) + money


@dataclass
class JournalFile:
    """What a file of a journal contains. `keys` are the keys of its replies, and `models` has their
    costs by the name of the model. `damaged` has the start and the number of bytes of each line
    that cannot be used. `saved` is the cost of the replies that runs found in the journal. It lacks
    the last replies that a killed process had found."""

    name: str
    size_bytes: int = 0
    keys: set[bytes] = field(default_factory=set)
    models: dict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))
    damaged: list[tuple[int, int]] = field(default_factory=list)
    saved: Cost = field(default_factory=Cost)


def survey(uri: str, prices: Prices | None = None) -> JournalFile:
    """Reads a file of a journal. If `prices` are given, the costs are computed from them, and the
    amounts in the entries are ignored."""
    found = JournalFile(storage.base_name(uri))
    for line in lines(uri):
        found.size_bytes += line.size
        entry = line.entry
        if entry is None:
            found.damaged.append((line.start, line.size))
        elif "key" in entry:
            found.keys.add(bytes.fromhex(entry["key"]))
            found.models[str(entry.get("model", ""))].add(_cost(entry, 1, "", prices))
        else:
            found.saved.add(_cost(entry, entry["hits"], "saved_", prices))
    return found


def _cost(entry: Mapping[str, Any], replies: int, prefix: str, prices: Prices | None) -> Cost:
    read = entry.get(f"{prefix}input_tokens") or 0
    written = entry.get(f"{prefix}output_tokens") or 0
    cost = Cost(replies, read, written)
    if prices is not None:
        cost.money[prices.currency] = prices.money(replies, read, written)
    elif "currency" in entry:
        cost.money[entry["currency"]] = entry[f"{prefix}money"]
    else:
        cost.unpriced = replies
    return cost
