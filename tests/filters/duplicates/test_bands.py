"""Bands follow from the threshold, and a note names the share of pairs other bands find."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from benchmarks.minhash_bands import planted_pairs, recall
from filters.duplicates.duplicates import Duplicates
from filters.duplicates.kinds.bands import MIN_RECALL, USUAL, Bands, choose_bands

THRESHOLDS = [n / 100 for n in range(30, 100)]


def step(**settings: Any) -> Duplicates:
    return Duplicates.model_validate({"by": "minhash", **settings})


def note(**settings: Any) -> str:
    return "".join(step(**settings).notes("."))


@pytest.mark.parametrize("permutations", [64, 112, 128, 256])
def test_bands_find_the_pairs_at_every_threshold(permutations: int) -> None:
    for threshold in THRESHOLDS:
        chosen = choose_bands(threshold, permutations)
        assert chosen.bands * chosen.rows <= permutations
        assert chosen.recall(threshold) >= (MIN_RECALL if permutations > 64 else 0.95)


def test_recall_is_the_share_of_pairs_with_a_band_in_common() -> None:
    assert Bands(1, 1).recall(0.3) == pytest.approx(0.3)
    assert Bands(2, 1).recall(0.5) == pytest.approx(0.75)
    assert Bands(1, 3).recall(0.5) == pytest.approx(0.125)


def test_the_bands_of_the_default_threshold_do_not_change() -> None:
    assert {choose_bands(t, 128) for t in THRESHOLDS if t >= 0.77} == {USUAL}
    assert (step().bands, step().rows) == (20, 6)
    assert choose_bands(0.5, 128) == (42, 3)


def test_numbers_that_are_given_are_kept() -> None:
    assert choose_bands(0.5, 128, bands=20, rows=6) == (20, 6)
    assert choose_bands(0.5, 128, bands=20) == (20, 2)
    assert choose_bands(0.5, 128, rows=2) == (64, 2)
    assert (step(threshold=0.9, bands=10).rows, step(threshold=0.9, rows=8).bands) == (9, 16)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75])
def test_planted_pairs_are_found(threshold: float) -> None:
    found, _ = recall(pa.array(list(planted_pairs(threshold, 400, 1))), threshold=threshold)
    assert found >= 0.98


def test_a_note_names_what_given_bands_miss_and_what_would_find_it() -> None:
    assert note(threshold=0.5, bands=20, rows=6) == (
        "20 bands of 6 rows find 27.01 % of the pairs whose similarity is 0.5. Remove the settings "
        "bands and rows: then 42 bands of 3 rows find 99.63 % of them"
    )
    assert note(threshold=0.02).endswith(
        "find more of them, set permutations: 256, without bands and rows"
    )
    assert note(bands=16, rows=6) == "16 bands of 6 rows find 99.22 % of the pairs whose " \
        "similarity is 0.8"  # fmt: skip


def test_a_note_names_what_more_bands_cost_and_there_is_none_for_the_default() -> None:
    assert note(threshold=0.5).endswith("they write 2.1 times the keys of 20 bands")
    assert [note(), note(threshold=0.9), "".join(Duplicates(by="text").notes("."))] == [""] * 3


def test_a_note_names_the_pairs_that_are_accepted_without_verification() -> None:
    assert ", and take 7.88 % of the pairs whose similarity is half of it" in note(verify=False)


def test_a_threshold_of_another_type_is_still_refused_by_its_own_check() -> None:
    for wrong in ("high", float("nan"), -1, [0.5]):
        with pytest.raises(ValueError, match="threshold"):
            step(threshold=wrong)
    assert (step(threshold="0.5").bands, step(threshold="0.5").rows) == (42, 3)
