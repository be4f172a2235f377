"""The expected result, by comparing every record with every other in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

import pytest

from tests.filters.duplicates.outcomes import RecordOutcome, families
from tests.filters.duplicates.records import by_id

Links = dict[frozenset[str], float]
"""The similarity of each pair of duplicates."""


def links(
    rows: Collection[dict[str, Any]],
    alike: Callable[[dict[str, Any], dict[str, Any]], float | None],
    threshold: float,
) -> Links:
    """All pairs with at least this similarity; `alike` is None for a pair that cannot match."""
    found = {}
    for one, other in itertools.combinations(rows, 2):
        similarity = alike(one, other)
        if similarity is not None and similarity >= threshold:
            found[frozenset((one["key"], other["key"]))] = similarity
    return found


def connected(pairs: Links) -> set[frozenset[str]]:
    """The connected components of the pairs."""
    found: list[set[str]] = []
    for pair in pairs:
        touched = [family for family in found if family & pair]
        found = [family for family in found if not family & pair]
        found.append(set(pair).union(*touched))
    return {frozenset(family) for family in found}


def path_to_survivor(outcomes: Mapping[str, RecordOutcome], key: str) -> list[str]:
    """The keys from a dropped record to the one that stays, each a duplicate of the next."""
    path = [key]
    while (of := outcomes[path[-1]].of) is not None:
        assert of not in path
        path.append(of)
    return path


def assert_same(
    outcomes: Mapping[str, RecordOutcome],
    pairs: Links,
    tolerance: float = 1e-6,
    best: Callable[[str], Any] = lambda key: 0,
) -> None:
    """Check families, survivors, what every record is a duplicate of, and the similarities."""
    expected, strongest = connected(pairs), strongest_paths(pairs)
    assert families(outcomes) == expected
    for family in expected:
        first = min(by_id(family), key=best)
        for key in family:
            assert outcomes[key].family == len(family)
            assert outcomes[key].stays == (key == first)
            if key != first:
                assert outcomes[key].survivor == first
                assert outcomes[key].reason == "duplicate"
                true = _along(outcomes, pairs, key, tolerance)
                assert min(true) == pytest.approx(strongest[frozenset((key, first))], abs=tolerance)
    alone = set(outcomes) - set().union(*expected)
    assert {outcomes[key] for key in alone} <= {RecordOutcome()}


def _along(
    outcomes: Mapping[str, RecordOutcome], pairs: Links, key: str, tolerance: float
) -> list[float]:
    """The true similarities along the path to the survivor; checks that the outcomes have them."""
    path = path_to_survivor(outcomes, key)
    assert path[-1] == outcomes[key].survivor
    found = [outcomes[one].similarity for one in path[:-1]]
    true = [pairs[frozenset(step)] for step in itertools.pairwise(path)]
    assert found == pytest.approx(true, abs=tolerance)
    return true


def strongest_paths(pairs: Links) -> Links:
    """For every two connected records the weakest similarity on the best path between them."""
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


def all_of(*rules: Callable[..., float | None]) -> Callable[..., float | None]:
    """The lowest similarity of all rules; None if one of them does not match."""

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        similarities = [rule(one, other) for rule in rules]
        known = [similarity for similarity in similarities if similarity is not None]
        return min(known) if len(known) == len(similarities) else None

    return alike


def distance(one: dict[str, Any], other: dict[str, Any], at: int, to: int) -> int:
    """Bits in which two images differ, one of them mirrored if that is nearer."""
    a, m = one["image_hash.hash"][at], one["image_hash.mirror"][at]
    b, n = other["image_hash.hash"][to], other["image_hash.mirror"][to]
    return min((a ^ b).bit_count(), (a ^ n).bit_count(), (m ^ b).bit_count())
