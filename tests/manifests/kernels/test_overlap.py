"""Overlaps of texts with items are those that plain Python finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.kernels.overlap import NO_ITEM, grams_of, overlaps

texts = st.lists(st.sampled_from("ab"), max_size=14).map(" ".join)


def has(text: list[str], gram: tuple[str, ...]) -> bool:
    size = len(gram)
    return any(tuple(text[i : i + size]) == gram for i in range(len(text) - size + 1))


@settings(max_examples=200)
@given(st.lists(texts, min_size=1, max_size=5), st.lists(texts, max_size=4), st.data())
def test_overlaps_are_those_of_plain_python(items: list[str], some: list[str], data: Any) -> None:
    n = data.draw(st.integers(2, 7))
    min_tokens = data.draw(st.integers(2, n))
    owners = [0, *sorted(data.draw(st.integers(0, 2)) for _ in items[1:])]
    wanted: list[set[tuple[str, ...]]] = [set(), set(), set()]
    for item, owner in zip(items, owners, strict=True):
        words = item.split()
        if len(words) >= min_tokens:
            size = min(n, len(words))
            wanted[owner] |= {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
    grams = grams_of(pa.array(items), np.array(owners), 3, n, min_tokens)
    assert grams.totals.tolist() == [len(grams) for grams in wanted]
    found = overlaps(pa.array(["left out", *some], pa.string())[1:], grams)
    for text, item, share in zip(some, found.item, found.share, strict=True):
        words = text.split()
        shares = [sum(has(words, g) for g in own) / max(len(own), 1) for own in wanted]
        best = max(range(3), key=lambda i: (shares[i], -i))
        assert (item, share) == ((best, np.float32(shares[best])) if shares[best] else (NO_ITEM, 0))


def test_ngrams_of_different_lengths_with_the_same_windows_are_different() -> None:
    grams = grams_of(pa.array(["a a a a", "b b b"]), np.arange(2), 2, 4, 3)
    assert overlaps(pa.array(["a a a", "a a a a"]), grams).item.tolist() == [NO_ITEM, 0]


def test_a_million_unrelated_ngrams_match_no_item() -> None:
    draw = np.random.default_rng(5)

    def words(start: int, rows: int) -> pa.Array:
        some = draw.integers(start, start + 1000, (rows, 1000))
        return pa.array([" ".join(map(str, row)) for row in some.tolist()])

    grams = grams_of(words(0, 100), np.arange(100), 100, 13, 8)
    assert len(grams.keys) == 100 * 988
    assert (overlaps(words(10_000, 1000), grams).item == NO_ITEM).all()
