"""Counts what a journal has: replies, tokens, the money that they cost and that they saved."""

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
    """The sums of some replies. `money` has the sum in each currency, and `unpriced` counts the
    replies for which no price is known."""

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
    """What a file of a journal has. `models` has what was paid for the replies of each model, by
    its name. `damaged` lists the places of the lines that cannot be used, as (start, bytes).
    `asked` is how often processes asked a model, and `saved` are the replies that they found in the
    journal instead."""

    name: str
    size_bytes: int = 0
    keys: set[bytes] = field(default_factory=set)
    models: dict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))
    damaged: list[tuple[int, int]] = field(default_factory=list)
    asked: int = 0
    saved: Cost = field(default_factory=Cost)


def survey(uri: str, prices: Prices | None = None) -> JournalFile:
    """Reads a file of a journal to its end. `prices` take the place of the prices in its
    entries."""
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
            found.asked += entry["asked"]
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
