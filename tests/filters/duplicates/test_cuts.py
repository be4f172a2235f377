"""The result does not depend on how the corpus is split into parts and the work into tasks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filters.duplicates.corpus.units import split_unit_ids, unit_ids
from filters.duplicates.duplicates import Duplicates
from filters.duplicates.kinds import minhash
from filters.duplicates.phases import search, verify
from filters.duplicates.phases.candidates import KeyRange, key_ranges
from filters.duplicates.phases.keys import Sizes
from tests.filters.corpus_steps import temporary_workspace
from tests.filters.duplicates import planted
from tests.filters.duplicates.outcomes import (
    RecordOutcome,
    families,
    find_duplicate_images,
    find_duplicates,
    kept_keys,
    pair_counts,
)
from tests.filters.duplicates.records import image_digest, in_parts, row
from tests.filters.duplicates.test_semantic import rows_of

RECALL: dict[str, Any] = {"threshold": 0.7, "bands": 40, "rows": 3}
WAYS: dict[str, dict[str, Any]] = {
    "text": {"by": "text"},
    "minhash": {"by": "minhash", **RECALL},
    "minhash and image": {"by": ["minhash", "image"], **RECALL},
    "perceptual": {"by": "perceptual"},
    "perceptual and text": {"by": ["perceptual", "text"]},
    "sequence": {"by": "sequence"},
}
PHASES = ("ranges", "equal", "near", "features", "verified", "members")
EACH_WAY = pytest.mark.parametrize("way", WAYS)


def records(seed: int) -> list[dict[str, Any]]:
    """Records of which few share images; for every way some are duplicates."""
    chance = random.Random(seed)
    images, texts = planted.images(seed, 50, 60, 3), planted.texts(seed, 30, 60)
    made = []
    for number, text in enumerate(texts):
        shown = chance.sample(images, 1 + number % 3)
        hashes, mirrors = ([pair[side] for pair in shown] for side in (0, 1))
        digests = [image_digest(number % 2)] * len(shown)
        made.append(row(f"r{number}", text, hashes=hashes, mirrors=mirrors, digests=digests))
    return made


def survivors_and_families(
    outcomes: dict[str, RecordOutcome],
) -> tuple[set[str], set[frozenset[str]]]:
    return kept_keys(outcomes), families(outcomes)


@EACH_WAY
def test_order_and_number_of_parts_change_no_survivor_and_no_family(way: str) -> None:
    rows = records(1)
    expected = survivors_and_families(find_duplicates(rows, 3, **WAYS[way]))
    assert expected[1]
    for seed, parts in ((1, 1), (2, 7), (3, 30)):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert survivors_and_families(find_duplicates(shuffled, parts, **WAYS[way])) == expected


def test_order_and_number_of_parts_change_no_image_that_stays() -> None:
    rows = records(2)
    expected = find_duplicate_images(rows, 3, keep="id")
    assert any(one["removed"] for one in expected.values())
    for seed, parts in ((1, 1), (2, 7)):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert find_duplicate_images(shuffled, parts, keep="id") == expected


@EACH_WAY
def test_many_ranges_and_slices_give_the_same_result_as_one(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = records(3)
    expected = find_duplicates(rows, 3, **WAYS[way])
    monkeypatch.setattr(search, "RANGE_BYTES", 1024)
    monkeypatch.setattr(verify, "SLICE_PAIRS", 5)
    assert find_duplicates(rows, 3, **WAYS[way]) == expected


def test_the_work_is_cut_by_the_sizes_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "RANGE_BYTES", 1024)
    monkeypatch.setattr(verify, "SLICE_PAIRS", 5)
    rows = records(3)
    with temporary_workspace() as workspace:
        Duplicates(**WAYS["minhash"]).fit(in_parts(rows), workspace, 0)
        made = {phase: len(list(_commits(workspace.scratch, phase)))
                for phase in PHASES}  # fmt: skip
    near = pair_counts(in_parts(rows), Duplicates(**WAYS["minhash"]))["near"]
    assert near > 60
    assert made["ranges"] == made["features"] == made["members"] == 3
    assert made["equal"] == 2  # of 90 records at 20 bytes
    assert made["near"] == 128  # of 90 times 40 entries of 36 bytes
    assert 10 < made["verified"] <= -(-near // 5)


def _commits(scratch: str, phase: str) -> Any:
    return Path(scratch, phase).glob("*.json")


@pytest.mark.parametrize("clusters", [None, "embed.nearest"])
def test_slices_of_a_hot_key_are_all_compared_with_each_other(
    clusters: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(5) + [{**one, "key": f"again {one['key']}"} for one in rows_of(6)]
    settings = {"by": "semantic", "embedding": "embed.vector", "threshold": 0.9, "keep": "id"}
    expected = find_duplicates(rows, 1, clusters=clusters, **settings)
    assert len(families(expected)) > 5
    monkeypatch.setattr(search, "RANGE_BYTES", 30 * 84)
    tasks: list[KeyRange] = []
    monkeypatch.setattr(search, "key_ranges", lambda *a: tasks.extend(key_ranges(*a)) or tasks)
    cut = find_duplicates(rows, 1, clusters=clusters, **settings)
    assert len([task for task in tasks if task.hot is not None]) >= 6
    assert {key: one._replace(similarity=None) for key, one in cut.items()} == {
        key: one._replace(similarity=None) for key, one in expected.items()
    }


def test_slices_of_a_hot_key_of_texts_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such texts share other bands too, usually; here there is only one band."""
    base = "the footer of every page of one site says all of this in these very words"
    rows = [row(str(n), f"{base} {n}") for n in range(400)]
    settings = {"by": "minhash", "n": 1, "bands": 1, "rows": 1, "threshold": 0.5}
    assert len(families(find_duplicates(rows, 1, **settings))) == 1
    monkeypatch.setattr(search, "RANGE_BYTES", 36 * 100)
    found = families(find_duplicates(rows, 1, **settings))
    assert 1 < len(found) <= 5
    assert len(set().union(*found)) > 300


def test_there_is_a_task_for_every_range_and_every_pair_of_slices_of_a_hot_key() -> None:
    key = 3 << 62
    alone = key_ranges(1, {}, 10, True)
    assert alone == [KeyRange(0), KeyRange(1)]
    assert key_ranges(2, {key: 20}, 10, False)[4:] == [
        KeyRange(3, key, 0, 0, 2), KeyRange(3, key, 1, 1, 2),
    ]  # fmt: skip
    assert key_ranges(2, {key: 21}, 10, True)[4:] == [
        KeyRange(3, key, 0, 1, 3), KeyRange(3, key, 0, 2, 3), KeyRange(3, key, 1, 2, 3),
    ]  # fmt: skip
    assert key_ranges(2, {5: 10}, 10, True)[4:] == [KeyRange(0, 5, 0, 0, 1)]
    names = [task.name for task in key_ranges(4, {key: 41, 9: 30}, 10, True)]
    assert len(set(names)) == len(names)


def test_a_key_that_is_hot_in_the_corpus_is_reported_by_some_part() -> None:
    assert Sizes(0, 0, 1000, 4).reported_count == 250
    assert Sizes(0, 0, 1000, 1000).reported_count == 64


@pytest.mark.parametrize(("size", "bits"), [
    (0, 0), (1, 0), (100, 0), (101, 1), (200, 1), (201, 2), (400, 2), (401, 3), (12_800, 7),
])  # fmt: skip
def test_there_are_enough_ranges_for_the_size_of_the_corpus(
    size: int, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "RANGE_BYTES", 100)
    assert search._bits(size) == bits


def test_a_text_is_paired_with_the_nearest_before_it_in_its_band_within_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = "the footer of every page of one site says all of this in these very words"
    rows = [row(str(n), f"{base} {n}") for n in range(60)]
    step = Duplicates(by="minhash", n=1, bands=1, rows=1, threshold=0.5)
    monkeypatch.setattr(minhash, "NEAREST", 2)
    few = pair_counts(in_parts(rows), step)["near"]
    assert 60 < few <= 2 * 60
    monkeypatch.setattr(minhash, "WINDOW", 1)
    assert pair_counts(in_parts(rows), step)["near"] < 60


def test_unit_ids_are_64_bits() -> None:
    units = unit_ids(2**31, np.array([0, 5, 2**32 - 1]))
    assert units.dtype == np.uint64
    assert [column.tolist() for column in split_unit_ids(units)] == [
        [2**31] * 3, [0, 5, 2**32 - 1],
    ]  # fmt: skip
