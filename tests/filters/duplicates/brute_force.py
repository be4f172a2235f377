"""What the engine must find, by comparing every record with every other in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

import pytest

from tests.filters.duplicates.outcomes import RecordOutcome, families
from tests.filters.duplicates.records import by_id

Links = dict[frozenset[str], float]
"""How alike the two of each pair are that are duplicates."""


def links(
    rows: Collection[dict[str, Any]],
    alike: Callable[[dict[str, Any], dict[str, Any]], float | None],
    threshold: float,
) -> Links:
    """All pairs that are at least so alike; None: that cannot be compared."""
    found = {}
    for one, other in itertools.combinations(rows, 2):
        similarity = alike(one, other)
        if similarity is not None and similarity >= threshold:
            found[frozenset((one["key"], other["key"]))] = similarity
    return found


def connected(pairs: Links) -> set[frozenset[str]]:
    """Which keys hang together."""
    found: list[set[str]] = []
    for pair in pairs:
        touched = [family for family in found if family & pair]
        found = [family for family in found if not family & pair]
        found.append(set(pair).union(*touched))
    return {frozenset(family) for family in found}


def path_to_survivor(said: Mapping[str, RecordOutcome], key: str) -> list[str]:
    """From a dropped record to the one that stays, by what each is a duplicate of."""
    way = [key]
    while (of := said[way[-1]].of) is not None:
        assert of not in way
        way.append(of)
    return way


def assert_same(
    said: Mapping[str, RecordOutcome],
    pairs: Links,
    tolerance: float = 1e-6,
    best: Callable[[str], Any] = lambda key: 0,
) -> None:
    """The families, who stays of each, what every record is a duplicate of, and how alike."""
    expected, strongest = connected(pairs), strongest_paths(pairs)
    assert families(said) == expected
    for family in expected:
        first = min(by_id(family), key=best)
        for key in family:
            assert said[key].family == len(family)
            assert said[key].stays == (key == first)
            if key != first:
                assert said[key].survivor == first
                assert said[key].reason == "duplicate"
                true = _along(said, pairs, key, tolerance)
                assert min(true) == pytest.approx(strongest[frozenset((key, first))], abs=tolerance)
    alone = set(said) - set().union(*expected)
    assert {said[key] for key in alone} <= {RecordOutcome()}


def _along(
    said: Mapping[str, RecordOutcome], pairs: Links, key: str, tolerance: float
) -> list[float]:
    """How alike each is to the next on the way, as compared; told the same."""
    way = path_to_survivor(said, key)
    assert way[-1] == said[key].survivor
    told = [said[one].similarity for one in way[:-1]]
    true = [pairs[frozenset(step)] for step in itertools.pairwise(way)]
    assert told == pytest.approx(true, abs=tolerance)
    return true


def strongest_paths(pairs: Links) -> Links:
    """Of all ways between two records, the similarity of the weakest link of the best way."""
    best: Links = {}
    known: dict[str, set[str]] = {}
    for pair, similarity in sorted(pairs.items(), key=lambda item: -item[1]):
        one, other = (known.setdefault(key, {key}) for key in pair)
        if one is other:
            continue
        best |= {frozenset(two): similarity for two in itertools.product(one, other)}
        one |= other
        known |= dict.fromkeys(other, one)
    return best


@cache
def shingles(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = text.lower().split()
    if len(words) < n:
        return {tuple(words)} if words else set()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def jaccard(one: str, other: str, n: int = 5) -> float | None:
    a, b = shingles(one, n), shingles(other, n)
    return len(a & b) / len(a | b) if a and b else None


def text_of(row: dict[str, Any]) -> str:
    return "\n".join(segment["text"] for segment in row["content"])


def texts_alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
    return jaccard(text_of(one), text_of(other))


def texts_equal(one: dict[str, Any], other: dict[str, Any]) -> float | None:
    a, b = (" ".join(text_of(row).lower().split()) for row in (one, other))
    return 1.0 if a and a == b else None


def media_equal(one: dict[str, Any], other: dict[str, Any]) -> float | None:
    a, b = ([medium["digest"] for medium in row["media"]] for row in (one, other))
    return 1.0 if a and a == b else None


def all_of(*ways_: Callable[..., float | None]) -> Callable[..., float | None]:
    """As alike as in the way they are least alike; None where one of the ways does not hold."""

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        said = [way(one, other) for way in ways_]
        known = [similarity for similarity in said if similarity is not None]
        return min(known) if len(known) == len(said) else None

    return alike


def distance(one: dict[str, Any], other: dict[str, Any], at: int, to: int) -> int:
    """Bits in which two images differ, the way round that fits best."""
    a, m = one["image_hash.hash"][at], one["image_hash.mirror"][at]
    b, n = other["image_hash.hash"][to], other["image_hash.mirror"][to]
    return min((a ^ b).bit_count(), (a ^ n).bit_count(), (m ^ b).bit_count())
