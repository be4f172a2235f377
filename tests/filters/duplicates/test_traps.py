"""Corpora that other tools collapse, lose records of, or never finish."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.duplicates.duplicates import Duplicates
from filters.duplicates.kinds.minhash import NEAREST
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.filters.duplicates.brute_force import path_to_survivor
from tests.filters.duplicates.outcomes import (
    RecordOutcome,
    families,
    find_duplicates,
    kept_keys,
    pair_counts,
)
from tests.filters.duplicates.records import (
    by_id,
    flip_bits,
    image_digest,
    in_parts,
    random_hashes,
    row,
    table,
    text_rows,
)

SHORT = ("a cat", "a dog", "cat", "dog", "the sea", "sea", "a red car", "red car", "car", "一只猫")
WAYS: tuple[dict[str, Any], ...] = (
    {"by": "text"},
    {"by": "minhash"},
    {"by": "minhash", "tokens": "whitespace"},
    {"by": "minhash", "tokens": "characters"},
    {"by": "minhash", "n": 1, "threshold": 1.0},
)
OF_TEXT = pytest.mark.parametrize("settings", WAYS, ids=lambda s: "-".join(map(str, s.values())))


@OF_TEXT
def test_ten_distinct_short_captions_stay_ten(settings: dict[str, Any]) -> None:
    rows = text_rows({str(n): text for n, text in enumerate(SHORT)})
    assert set(find_duplicates(rows, **settings).values()) == {RecordOutcome()}


@OF_TEXT
def test_short_captions_that_are_equal_are_duplicates(settings: dict[str, Any]) -> None:
    rows = text_rows({f"{n}-{copy}": text for n, text in enumerate(SHORT) for copy in range(2)})
    expected = {frozenset({f"{n}-0", f"{n}-1"}) for n in range(10)}
    assert families(find_duplicates(rows, **settings)) == expected


@OF_TEXT
def test_records_without_text_are_never_duplicates(settings: dict[str, Any]) -> None:
    blank = [None, None, "", "", " ", "  ", "\n\t", "\n\t", "\u3000", "\u3000\u00a0"]
    rows = text_rows({str(n): text for n, text in enumerate(blank)})
    assert set(find_duplicates(rows, **settings).values()) == {RecordOutcome()}


@OF_TEXT
def test_texts_without_words_are_compared_by_their_characters(settings: dict[str, Any]) -> None:
    texts = {"a": "!!!", "b": "???", "c": "!!!", "d": "... !", "e": "…", "f": "🎉🎉", "g": "🎉"}
    assert families(find_duplicates(text_rows(texts), **settings)) == {frozenset({"a", "c"})}


@pytest.mark.parametrize("by", ["perceptual", "image", "sequence"])
def test_records_without_images_are_never_duplicates(by: str) -> None:
    rows = [row(str(n), "the same text") for n in range(6)]
    assert set(find_duplicates(rows, by=by).values()) == {RecordOutcome()}
    assert set(find_duplicates(rows, by=[by, "text"]).values()) == {RecordOutcome()}


@pytest.mark.parametrize("by", ["perceptual", "sequence"])
def test_blank_images_are_never_duplicates(by: str) -> None:
    rows = [row(str(n), hashes=[None] * (1 + n % 2)) for n in range(6)]
    assert set(find_duplicates(rows, by=by).values()) == {RecordOutcome()}


def test_a_record_with_one_blank_image_is_never_a_duplicate() -> None:
    one, other = random_hashes(1, 2)
    rows = [row(key, hashes=[one, None, other]) for key in "ab"]
    rows += [row(key, hashes=[one, other]) for key in "cd"]
    assert families(find_duplicates(rows, by="perceptual")) == {frozenset("cd")}


def test_several_images_must_match_in_the_same_order() -> None:
    one, other, third = random_hashes(2, 3)
    shown = {"a": [one, other], "b": [one, other], "c": [other, one], "d": [one], "e": [one] * 2,
             "f": [one, other, third], "g": [flip_bits(one, 3), flip_bits(other, 9)]}  # fmt: skip
    looks = [row(key, hashes=hashes) for key, hashes in shown.items()]
    assert families(find_duplicates(looks, by="perceptual")) == {frozenset("abg")}
    assert families(find_duplicates(looks, by="perceptual", distance=0)) == {frozenset("ab")}
    kept = {key: [image_digest(h) for h in hashes] for key, hashes in shown.items()}
    exact = [row(key, digests=digests) for key, digests in kept.items()]
    assert families(find_duplicates(exact, by="image")) == {frozenset("ab")}


CHAIN = {
    "a": "one two three four five six seven eight",
    "b": "two three four five six seven eight nine",
    "c": "three four five six seven eight nine ten",
}


@pytest.mark.parametrize("first", ["a", "b", "c"])
def test_a_chain_is_one_family_and_the_path_is_named(first: str) -> None:
    chain = [row(key, text, score=float(key == first)) for key, text in CHAIN.items()]
    settings = {"by": "minhash", "threshold": 0.7, "n": 1, "bands": 40, "rows": 3}
    outcomes = find_duplicates(chain, **settings, keep="-score.value")
    assert families(outcomes) == {frozenset("abc")}
    assert kept_keys(outcomes) == {first}
    found = {key: (one.of, one.similarity, one.family) for key, one in outcomes.items()}
    near = pytest.approx(7 / 9)
    to = {"a": {"b": "a", "c": "b"}, "b": {"a": "b", "c": "b"}, "c": {"b": "c", "a": "b"}}[first]
    assert found == {key: (to[key], near, 3) for key in to} | {first: (None, None, 3)}
    assert {path_to_survivor(outcomes, key)[-1] for key in "abc"} == {first}


@pytest.mark.parametrize(("by", "count"), [("text", 200_000), ("minhash", 400_000)])
def test_very_many_identical_rows_are_reduced_to_one_quickly(by: str, count: int) -> None:
    _time(_copies(1000), by)  # compiles
    seconds, stays = _time(_copies(count), by)
    assert stays == 1
    assert seconds < 10


@pytest.mark.parametrize("by", ["text", "minhash"])
def test_identical_rows_make_one_link_each_for_any_number_of_parts(by: str) -> None:
    rows = text_rows({str(n): "one caption of them all" for n in range(60)})
    for parts in (1, 20, 60):
        made = pair_counts(in_parts(rows, parts), Duplicates(by=by))
        assert sum(made.values()) == 59
        assert made["near"] == 0


def test_the_number_of_pairs_is_linear_in_the_texts_of_a_band() -> None:
    """Near-duplicates of boilerplate all share a band, but not every pair is a candidate."""
    base = "the footer of every page of one site says all of this in these very words"
    rows = text_rows({str(n): f"{base} {n}" for n in range(300)})
    step = Duplicates(by="minhash", n=1, bands=1, rows=1, threshold=0.5)
    made = pair_counts(in_parts(rows), step)
    assert 1000 < made["near"] <= NEAREST * 300


def _copies(count: int) -> MemoryCorpus:
    base = table([row("x", "one caption that a million pages have in their footer")])
    ids = np.arange(count).astype("S32")
    width = np.char.zfill(ids, 32)
    parts = []
    for some in np.array_split(width, 4):
        names = pa.array([one.decode() for one in some])
        rows = base.take(pa.array(np.zeros(len(some), np.int64))).combine_chunks()
        parts.append(rows.set_column(0, "id", names))
    return MemoryCorpus(tuple(parts))


def _time(corpus: MemoryCorpus, by: str) -> tuple[float, int]:
    start = time.process_time()
    found = decide(Duplicates(by=by, keep="id"), corpus)
    seconds = time.process_time() - start
    drops = itertools.chain.from_iterable(o.drop for _, o in found if o.drop is not None)
    return seconds, sum(not drop.is_valid for drop in drops)


def test_a_family_of_identical_rows_names_its_lowest_id() -> None:
    rows = text_rows({str(n): "the same caption" for n in range(40)})
    outcomes = find_duplicates(rows, by="minhash", keep="id")
    first = by_id(outcomes)[0]
    dropped = {one for key, one in outcomes.items() if key != first}
    assert outcomes[first] == RecordOutcome(family=40)
    assert {(one.survivor, one.similarity, one.family) for one in dropped} == {(first, 1.0, 40)}
