"""Totals divided over groups, alone and in the step `sample`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from curate.sampling.selection.quotas import equal, filled, proportional
from tests.sampling.corpora import sampled, table


def test_a_total_is_divided_equally_as_far_as_groups_have_enough() -> None:
    assert filled(10, [1, 1, 1], [2, 9, 9]) == [2, 4, 4]
    assert filled(11, [1, 1, 1], [2, 9, 9]) == [2, 5, 4]
    assert filled(100, [1, 1], [2, 9]) == [2, 9]
    assert filled(0, [1, 1], [2, 9]) == [0, 0]
    assert filled(12, [3, 1, 0], [99, 99, 99]) == [9, 3, 0]
    assert filled(5, [], []) == []


def test_a_division_adds_up_and_is_the_one_of_the_definition() -> None:
    chance = np.random.default_rng(5)
    for _ in range(300):
        groups = int(chance.integers(1, 9))
        weights = chance.integers(0, 5, groups).tolist()
        available = chance.integers(0, 50, groups).tolist()
        total = int(chance.integers(0, 150))
        given = filled(total, weights, available)
        usable = [a if w else 0 for a, w in zip(available, weights, strict=True)]
        assert sum(given) == min(total, sum(usable))
        if sum(given) < total:
            continue
        low, high = 0.0, 1000.0
        for _ in range(100):
            x = (low + high) / 2
            under = sum(min(x * w, a) for w, a in zip(weights, usable, strict=True)) < total
            low, high = (x, high) if under else (low, x)
        exact = [min(high * w, a) for w, a in zip(weights, usable, strict=True)]
        assert all(abs(g - e) < 1.0001 for g, e in zip(given, exact, strict=True))


def test_hierarchical_quotas_are_equal_at_each_level() -> None:
    available = {("a", "1"): 100, ("a", "2"): 3, ("b", "1"): 50, ("b", "2"): 50, ("c", "1"): 1}
    assert equal(41, available) == {
        ("a", "1"): 17, ("a", "2"): 3, ("b", "1"): 10, ("b", "2"): 10, ("c", "1"): 1
    }  # fmt: skip


def test_proportions_are_exact_for_any_fractions() -> None:
    available = {("a",): 10**12, ("b",): 10**12, ("c",): 5}
    weights = {("a",): 0.1, ("b",): 0.3}
    assert proportional(4 * 10**9, available, weights) == {("a",): 10**9, ("b",): 3 * 10**9}


GROUPS = np.array(["en", "zh", "de", None], object)[np.minimum(np.arange(4000) % 10 // 3, 3)]
WHOLE = table(4000, language=pa.array(GROUPS), k=np.arange(4000) % 5)


def kept_by_language(**settings: object) -> Counter[str]:
    found = sampled(WHOLE, by="language", **settings)
    return Counter(str(g) for g, kept in zip(GROUPS, found.mask, strict=True) if kept)


def test_groups_have_the_numbers_or_the_shares_of_the_recipe() -> None:
    assert kept_by_language(records={"en": 100, "de": "1k", "null": 3}) == {
        "en": 100, "de": 1000, "None": 3
    }  # fmt: skip
    assert kept_by_language(share={"en": 0.5, "zh": 0.001}) == {"en": 600, "zh": 1}
    assert kept_by_language(share=0.25) == {"en": 300, "zh": 300, "de": 300, "None": 100}


def test_one_total_is_divided_by_quotas() -> None:
    assert kept_by_language(records=1600, quotas="equal") == {
        "en": 400, "zh": 400, "de": 400, "None": 400
    }  # fmt: skip
    assert kept_by_language(records=400, quotas="proportional") == {
        "en": 120, "zh": 120, "de": 120, "None": 40
    }  # fmt: skip
    assert kept_by_language(records=2000, quotas={"en": 0.5, "null": 0.25}) == {
        "en": 1200, "None": 400
    }  # fmt: skip


def test_a_group_without_a_quota_is_dropped_with_this_reason() -> None:
    found = sampled(WHOLE, records={"en": 1}, by="language")
    reasons = Counter(found.drop)
    assert reasons == {None: 1, "not in the sample": 1199, "no quota": 2800}


def test_clusters_of_clusters_share_equally() -> None:
    found = sampled(WHOLE, records=100, by=["language", "k"], quotas="equal")
    cells = [(str(g), n % 5) for n, g in enumerate(GROUPS)]
    kept = Counter(cell for cell, one in zip(cells, found.mask, strict=True) if one)
    by_language = Counter[str]()
    for (language, _), count in kept.items():
        by_language[language] += count
    assert by_language == {"en": 25, "zh": 25, "de": 25, "None": 25}
    inside = Counter(language for language, _ in set(cells))
    assert all(abs(count - 25 / inside[language]) < 1 for (language, _), count in kept.items())
