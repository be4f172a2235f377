"""Choices are uniform, repeatable, and independent for each record and seed."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from curate.compose.grounding.counting import Counting
from curate.compose.grounding.grounding_text import GroundingText
from curate.compose.grounding.negatives import Negatives
from curate.compose.grounding.random_choices import RandomChoices, random_choices
from curate.engine.planned import PlannedStep
from manifests import record
from manifests.step import Step

IDS = record.record_ids("made", map(str, range(3000)))


def first(seed: int, ids: pa.Array = IDS) -> list[int]:
    return [one.below(10) for one in random_choices(ids, seed)]


def test_all_values_are_equally_likely() -> None:
    counts = Counter(first(0))
    assert set(counts) == set(range(10))
    assert all(240 < n < 360 for n in counts.values())


def test_choices_differ_by_record_and_seed_and_are_repeatable() -> None:
    assert first(0) == first(0)
    assert first(0, IDS.slice(5, 9)) == first(0)[5:14]
    for other in (first(1), first(2**64 - 1), first(-2)):
        agree = sum(x == y for x, y in zip(first(0), other, strict=True))
        assert 220 < agree < 380


@pytest.mark.parametrize("step", [GroundingText(), Negatives(categories=("a",)), Counting()])
def test_the_recipes_seed_is_part_of_the_identity_of_a_step_that_chooses(step: Step) -> None:
    planned = PlannedStep("step", step)
    assert planned.identity("", 1) != planned.identity("", 2)


def test_a_sample_has_different_values_in_any_order() -> None:
    orders = {tuple(RandomChoices(key).shuffled("abc")) for key in range(200)}
    assert orders == {tuple(word) for word in ("abc", "acb", "bac", "bca", "cab", "cba")}
    assert all(len(set(RandomChoices(key).sample("abcd", 2))) == 2 for key in range(50))
    assert RandomChoices(1).sample("ab", 9) == RandomChoices(1).shuffled("ab")
