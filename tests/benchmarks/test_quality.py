"""The benchmark of near-duplicates: its measures by hand, and its truth by brute force."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
import pytest

from benchmarks import planted
from benchmarks.engines import Engine, version
from benchmarks.grouping import band_hashes, signatures
from benchmarks.peers.grams import clusters, grams
from benchmarks.planted import EDITS, Corpus, Language, jaccard, truth
from benchmarks.quality import Answer, quality


@pytest.fixture(scope="module")
def language() -> Language:
    return Language()


# Documents 0, 1 and 2 are alike; 3 and 4 are; 5 and 6 not quite; 7 and 8 are like nothing.
TRUTH = pa.Table.from_pylist(
    [
        {"first": 0, "second": 1, "jaccard": 0.96, "level": "a word before"},
        {"first": 0, "second": 2, "jaccard": 0.80, "level": "2 % of words"},
        {"first": 1, "second": 2, "jaccard": 0.78, "level": None},
        {"first": 3, "second": 4, "jaccard": 0.85, "level": "2 % of words"},
        {"first": 5, "second": 6, "jaccard": 0.79, "level": "4 % of words"},
    ],
    planted.TRUTH,
)


def answered(kind: str, values: list[object]) -> list[object]:
    """Recall, precision, pair recall by interval (None for no pairs), recall by level."""
    known = quality(Answer(kind, np.array(values)), TRUTH, 0.8)
    shares = [None if np.isnan(share) else share for share in known.pair_recall]
    return [known.recall, known.precision, shares, known.level_recall]


def test_clusters_are_judged_by_the_pairs_and_documents_in_them():
    labels = [10, 10, 2, 3, 3, 5, 5, 7, 8]
    assert answered("clusters", labels) == [
        4 / 5,  # 2 has a copy, but is alone
        4 / 6,  # 5 and 6 have none
        [0, 1, None, 1],
        {"a word before": 1, "2 % of words": 1 / 2},
    ]


def test_a_flagged_pair_counts_when_both_are_flagged():
    flags = [True, True, False, True, True, False, False, True, False]
    assert answered("flags", flags) == [
        4 / 5,
        4 / 5,
        [0, 1, None, 1],
        {"a word before": 1, "2 % of words": 1 / 2},
    ]


def test_a_removal_answers_for_the_copy_that_stays():
    removed = [False, True, False, False, False, False, True, False, False]
    assert answered("removed", removed) == [
        2 / 5,  # 1, and 0 for which it goes
        1 / 2,  # 6 went for nothing
        [0, 0, None, 1],
        {"a word before": 1, "2 % of words": 0},
    ]


def test_an_answer_that_names_nothing_has_no_precision():
    known = quality(Answer("flags", np.zeros(9, bool)), TRUTH, 0.8)
    assert known.recall == 0
    assert np.isnan(known.precision)


def test_the_intervals_follow_the_threshold_and_hold_their_lower_bound():
    labels = [0, 0, 0, 3, 4, 5, 6, 7, 8]
    known = quality(Answer("clusters", np.array(labels)), TRUTH, 0.6)
    # Of 0.6 to 0.7 none; of 0.7 to 0.8 one of 0.78 and 0.79; then one of 0.80 and 0.85; then 0.96.
    np.testing.assert_equal(known.pair_recall, [np.nan, 1 / 2, 1 / 2, 1])


def test_jaccard_is_of_the_sets_of_five_words():
    one = "A b c d  e f G"  # 3 grams
    other = "a b c d e f\nh"  # 3 grams, 2 of them in common
    assert jaccard(set(grams(one)), set(grams(other))) == 2 / 4
    assert grams("Two words") == ["two words"]


def test_the_truth_holds_every_pair_that_is_alike_and_its_exact_similarity():
    corpus = Corpus(600)
    sets = [set(grams(corpus.text(number))) for number in range(600)]
    rows = truth(corpus).to_pylist()
    listed = {(row["first"], row["second"]): row["jaccard"] for row in rows}
    for pair in combinations(range(600), 2):
        exact = jaccard(sets[pair[0]], sets[pair[1]])
        assert listed.get(pair, exact) == exact
        assert exact < 0.05 or pair in listed
    assert sum(row["level"] is not None for row in rows) == (corpus.levels >= 0).sum()


def test_a_corpus_is_the_beginning_of_a_larger_one():
    small, large = Corpus(200), Corpus(1000)
    assert [small.text(n) for n in range(200)] == [large.text(n) for n in range(200)]
    assert Corpus(200, seed=18).text(0) != small.text(0)


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [
        ("unchanged", 1, 1),
        ("case or spaces", 1, 1),
        ("a word before", 0.98, 0.9999),
        ("0.5 % of words", 0.93, 0.97),
        ("1 % of words", 0.88, 0.93),
        ("2 % of words", 0.78, 0.87),
        ("4 % of words", 0.64, 0.75),
        ("last 10 % cut", 0.87, 0.92),
        ("paragraph added", 0.87, 0.93),
    ],
)
def test_an_edit_leaves_as_much_as_its_name_says(
    level: str, low: float, high: float, language: Language
):
    random = np.random.default_rng(1)
    text = language.compose(400, random)
    copy = EDITS[level](text, language, random)
    assert (copy == text) == (level == "unchanged")
    assert low <= jaccard(set(grams(text)), set(grams(copy))) <= high


def test_a_tenth_are_copies_of_earlier_originals_and_all_edits_occur():
    corpus = Corpus(20_000)
    copied = corpus.levels >= 0
    assert 0.09 < copied.mean() < 0.11
    assert (corpus.sources[copied] < np.flatnonzero(copied)).all()
    assert not copied[corpus.sources].any()
    assert set(corpus.levels[copied].tolist()) == set(range(len(EDITS)))


def test_written_files_hold_the_corpus_and_its_truth(tmp_path):
    texts, pairs = planted.write(tmp_path / "made", 150, seed=3)
    corpus = Corpus(150, seed=3)
    rows = pa.json.read_json(texts).to_pylist()
    assert rows == [{"id": n, "text": corpus.text(n)} for n in range(150)]
    assert pa.parquet.read_table(pairs) == truth(corpus)


def test_clusters_are_what_pairs_connect():
    labels = clusters([(0, 2), (1, 2), (4, 3), (5, 5)], 6)
    assert labels.tolist() == [0, 0, 0, 3, 3, 5]


def test_drawn_signatures_share_as_many_bands_as_their_similarity_promises():
    hashes = band_hashes(signatures(20_000))
    assert hashes.shape == (20_000, 20)
    shared = np.zeros(20_000, bool)
    for band in hashes.T:
        _, place, count = np.unique(band, return_inverse=True, return_counts=True)
        shared |= count[place] > 1
    # 2,000 copies, 0.6 to 1 alike: 1 - (1 - s ** 6) ** 20 is 0.94 on average, and most originals
    # have one copy.
    assert 0.90 * 2000 * 1.9 < shared.sum() < 2000 * 2


def test_a_package_that_an_environment_lacks_has_no_version():
    assert version(Engine("benchmarks.peers.none", "no-such-package"), sys.executable) is None
    assert version(Engine("benchmarks.peers.none", "numpy"), sys.executable) == np.__version__
