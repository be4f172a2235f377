"""Choices are uniform, repeatable, and independent for each record, seed and step."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from curate.compose.grounding.random_choices import RandomChoices, random_choices
from manifests import record

IDS = record.record_ids("made", map(str, range(3000)))


def first(seed: int, step: str, ids: pa.Array = IDS) -> list[int]:
    return [one.below(10) for one in random_choices(ids, seed, step)]


def test_all_values_are_equally_likely() -> None:
    counts = Counter(first(0, "a"))
    assert set(counts) == set(range(10))
    assert all(240 < n < 360 for n in counts.values())


def test_choices_differ_by_record_seed_and_step_and_are_repeatable() -> None:
    assert first(0, "a") == first(0, "a")
    assert first(0, "a", IDS.slice(5, 9)) == first(0, "a")[5:14]
    for other in (first(1, "a"), first(0, "b"), first(-1, "a")):
        agree = sum(x == y for x, y in zip(first(0, "a"), other, strict=True))
        assert 220 < agree < 380


def test_a_sample_has_different_values_in_any_order() -> None:
    orders = {tuple(RandomChoices(key).shuffled("abc")) for key in range(200)}
    assert orders == {tuple(word) for word in ("abc", "acb", "bac", "bca", "cab", "cba")}
    assert all(len(set(RandomChoices(key).sample("abcd", 2))) == 2 for key in range(50))
    assert RandomChoices(1).sample("ab", 9) == RandomChoices(1).shuffled("ab")
