"""The benchmark of near-duplicates: its measures computed by hand, its truth by brute force."""

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


# Similar are documents 0, 1 and 2; 3 and 4; 5 and 6 not quite; 7 and 8 to no other.
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


def measures(kind: str, values: list[object]) -> list[object]:
    """Recall, precision, pair recall by interval (None for no pairs), recall by level."""
    known = quality(Answer(kind, np.array(values)), TRUTH, 0.8)
    shares = [None if np.isnan(share) else share for share in known.pair_recall]
    return [known.recall, known.precision, shares, known.level_recall]


def test_clusters_are_measured_by_their_pairs_and_documents():
    labels = [10, 10, 2, 3, 3, 5, 5, 7, 8]
    assert measures("clusters", labels) == [
        4 / 5,  # 2 has a copy, but is alone
        4 / 6,  # 5 and 6 have none
        [0, 1, None, 1],
        {"a word before": 1, "2 % of words": 1 / 2},
    ]


def test_a_pair_counts_if_both_documents_are_flagged():
    flags = [True, True, False, True, True, False, False, True, False]
    assert measures("flags", flags) == [
        4 / 5,
        4 / 5,
        [0, 1, None, 1],
        {"a word before": 1, "2 % of words": 1 / 2},
    ]


def test_a_removed_document_counts_for_the_copy_that_stays_too():
    removed = [False, True, False, False, False, False, True, False, False]
    assert measures("removed", removed) == [
        2 / 5,  # 1, and 0, of which it is a copy
        1 / 2,  # 6 has no copy
        [0, 0, None, 1],
        {"a word before": 1, "2 % of words": 0},
    ]


def test_an_answer_without_duplicates_has_no_precision():
    known = quality(Answer("flags", np.zeros(9, bool)), TRUTH, 0.8)
    assert known.recall == 0
    assert np.isnan(known.precision)


def test_intervals_start_at_the_threshold_and_contain_their_lower_bound():
    labels = [0, 0, 0, 3, 4, 5, 6, 7, 8]
    known = quality(Answer("clusters", np.array(labels)), TRUTH, 0.6)
    # 0.6 to 0.7: no pair. 0.7 to 0.8: 0.78 of 0.78, 0.79. Then 0.80 of 0.80, 0.85. Then 0.96.
    np.testing.assert_equal(known.pair_recall, [np.nan, 1 / 2, 1 / 2, 1])


def test_jaccard_compares_the_sets_of_five_words():
    one = "A b c d  e f G"  # 3 grams
    other = "a b c d e f\nh"  # 3 grams, 2 of them in common
    assert jaccard(set(grams(one)), set(grams(other))) == 2 / 4
    assert grams("Two words") == ["two words"]


def test_the_truth_has_every_similar_pair_and_its_exact_similarity():
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
def test_an_edit_keeps_as_much_as_its_name_states(
    level: str, low: float, high: float, language: Language
):
    random = np.random.default_rng(1)
    text = language.compose(400, random)
    copy = EDITS[level](text, language, random)
    assert (copy == text) == (level == "unchanged")
    assert low <= jaccard(set(grams(text)), set(grams(copy))) <= high


def test_a_tenth_are_copies_of_earlier_originals_by_all_edits():
    corpus = Corpus(20_000)
    copied = corpus.levels >= 0
    assert 0.09 < copied.mean() < 0.11
    assert (corpus.sources[copied] < np.flatnonzero(copied)).all()
    assert not copied[corpus.sources].any()
    assert set(corpus.levels[copied].tolist()) == set(range(len(EDITS)))


def test_the_files_contain_the_corpus_and_its_truth(tmp_path):
    texts, pairs = planted.write(tmp_path / "made", 150, seed=3)
    corpus = Corpus(150, seed=3)
    rows = pa.json.read_json(texts).to_pylist()
    assert rows == [{"id": n, "text": corpus.text(n)} for n in range(150)]
    assert pa.parquet.read_table(pairs) == truth(corpus)


def test_clusters_are_the_components_of_the_pairs():
    labels = clusters([(0, 2), (1, 2), (4, 3), (5, 5)], 6)
    assert labels.tolist() == [0, 0, 0, 3, 3, 5]


def test_drawn_signatures_share_bands_as_often_as_their_similarity_predicts():
    hashes = band_hashes(signatures(20_000))
    assert hashes.shape == (20_000, 20)
    shared = np.zeros(20_000, bool)
    for band in hashes.T:
        _, place, count = np.unique(band, return_inverse=True, return_counts=True)
        shared |= count[place] > 1
    # 2,000 copies with a similarity of 0.6 to 1: 1 - (1 - s ** 6) ** 20 is 0.94 on average, and
    # most originals have one copy.
    assert 0.90 * 2000 * 1.9 < shared.sum() < 2000 * 2


def test_a_package_that_is_not_installed_has_no_version():
    assert version(Engine("benchmarks.peers.none", "no-such-package"), sys.executable) is None
    assert version(Engine("benchmarks.peers.none", "numpy"), sys.executable) == np.__version__
