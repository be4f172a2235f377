"""Families, survivors and similarities are those of comparing every record with every other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.filters.duplicates import planted
from tests.filters.duplicates.brute_force import (
    all_of,
    assert_same,
    jaccard,
    links,
    media_equal,
    text_of,
    texts_alike,
    texts_equal,
)
from tests.filters.duplicates.outcomes import families, find_duplicates
from tests.filters.duplicates.records import row

SEEDS = [1, 2, 3]
MINHASH = {"threshold": 0.7, "tokens": "whitespace", "bands": 40, "rows": 3, "keep": "id"}


@pytest.mark.parametrize("seed", SEEDS)
def test_by_text(seed: int) -> None:
    rows = [row(f"t{n}", text) for n, text in enumerate(planted.texts(seed))]
    found = links(rows, texts_equal, 1)
    assert len(found) > 15
    assert_same(find_duplicates(rows, by="text", keep="id"), found)


@pytest.mark.parametrize("seed", SEEDS)
def test_by_image(seed: int) -> None:
    rows = planted.records(seed)
    found = links(rows, media_equal, 1)
    assert len(found) > 500
    assert_same(find_duplicates(rows, by="image", keep="id"), found)


@pytest.mark.parametrize("seed", SEEDS)
def test_by_text_and_image(seed: int) -> None:
    rows = planted.records(seed)
    found = links(rows, all_of(texts_equal, media_equal), 1)
    assert 10 < len(found) < len(links(rows, texts_equal, 1))
    assert_same(find_duplicates(rows, by=["text", "image"], keep="id"), found)


@pytest.mark.parametrize("tokens", ["words", "whitespace"])
@pytest.mark.parametrize("seed", SEEDS)
def test_by_minhash(seed: int, tokens: str) -> None:
    rows = [row(f"t{n}", text) for n, text in enumerate(planted.texts(seed))]
    found = links(rows, texts_alike, 0.7)
    assert len(links(rows, texts_alike, 0.4)) > len(found) > len(links(rows, texts_alike, 0.9)) > 15
    assert_same(find_duplicates(rows, by="minhash", **{**MINHASH, "tokens": tokens}), found)


@pytest.mark.parametrize("n", [1, 2, 8])
def test_by_minhash_of_n_words(n: int) -> None:
    rows = [row(f"t{n}", text) for n, text in enumerate(planted.texts(4))]

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        return jaccard(text_of(one), text_of(other), n)

    assert_same(find_duplicates(rows, by="minhash", n=n, **MINHASH), links(rows, alike, 0.7))


def test_by_minhash_of_characters() -> None:
    rows = [row(f"t{n}", text) for n, text in enumerate(planted.texts(5))]

    def characters(text: str) -> set[str]:
        text = " ".join(text.lower().split())
        return {text[i : i + 9] for i in range(len(text) - 8)}

    known = {one["key"]: characters(text_of(one)) for one in rows}

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float:
        a, b = known[one["key"]], known[other["key"]]
        return len(a & b) / len(a | b)

    settings = {**MINHASH, "tokens": "characters", "n": 9}
    assert_same(find_duplicates(rows, by="minhash", **settings), links(rows, alike, 0.7))


@pytest.mark.parametrize("seed", SEEDS)
def test_by_minhash_and_image(seed: int) -> None:
    rows = planted.records(seed)
    found = links(rows, all_of(texts_alike, media_equal), 0.7)
    assert 20 < len(found) < len(links(rows, texts_alike, 0.7))
    assert_same(find_duplicates(rows, by=["minhash", "image"], **MINHASH), found)


@pytest.mark.parametrize("common", range(5, 10))
def test_a_pair_exactly_at_the_threshold_is_a_duplicate(common: int) -> None:
    words = list("abcdefghij")
    rows = [row("one", " ".join(words)), row("other", " ".join(words[:common]))]
    settings: dict[str, Any] = {"by": "minhash", "n": 1, "bands": 40, "rows": 3}
    at = find_duplicates(rows, threshold=common / 10, **settings)
    assert families(at) == {frozenset({"one", "other"})}
    above = find_duplicates(rows, threshold=common / 10 + 1e-4, **settings)
    assert families(above) == set()


def test_no_pair_of_short_texts_is_rejected_before_verification() -> None:
    """Captions of 9 to 16 words, each with a copy that lacks the last: the signatures
    of few shingles are inexact, and the least similar pairs are exactly at the threshold."""
    rows = []
    for number in range(400):
        words = [f"w{number}x{n}" for n in range(9 + number % 8)]
        rows.append(row(f"{number} a", " ".join(words)))
        rows.append(row(f"{number} b", " ".join(words[:-1])))
    outcomes = find_duplicates(rows, by="minhash", bands=40, rows=3)
    assert families(outcomes) == {frozenset({f"{n} a", f"{n} b"}) for n in range(400)}
    assert {round(one.similarity, 4) for one in outcomes.values() if one.similarity} == {
        round(n / (n + 1), 4) for n in range(4, 12)
    }


def test_without_verification_all_that_share_a_band_are_duplicates() -> None:
    """Even if they have little else in common: a quarter of their words."""
    common, own = ("a b c d e f g h", "i j k l m n o p q r s t"), "1 2 3 4 5 6 7 8 9 10 11 12"
    rows = [row("one", " ".join(common)), row("other", f"{common[0]} {own}")]
    settings: dict[str, Any] = {"n": 1, "bands": 128, "rows": 1, "threshold": 0.5}
    assert families(find_duplicates(rows, by="minhash", **settings)) == set()
    outcomes = find_duplicates(rows, by="minhash", verify=False, **settings)
    assert families(outcomes) == {frozenset({"one", "other"})}
    (similarity,) = (one.similarity for one in outcomes.values() if one.similarity is not None)
    assert 0 < similarity < 0.5  # estimated from the signatures
