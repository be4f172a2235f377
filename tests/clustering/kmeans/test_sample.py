"""Samples of vectors: which vectors they begin with."""

from __future__ import annotations

import numpy as np

from clustering.kmeans.sample import Sample
from clustering.kmeans.vectors import distinct


def test_the_first_different_vectors_are_found_behind_equal_ones() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [1, 1], [2, 2]], np.float16)
    assert distinct(vectors, 3).tolist() == [0, 2, 4]
    assert distinct(vectors, 9).tolist() == [0, 2, 4, 5]


def test_the_first_shards_of_a_sample_have_as_many_vectors_as_asked_for() -> None:
    sample = Sample("folder", (5, 5, 5), 2)
    assert [len(sample.first(count).rows) for count in (1, 5, 6, 15, 99)] == [1, 1, 2, 3, 3]
