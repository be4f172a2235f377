"""The nearest records of blocks that are compared one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clustering.neighbours.best import Nearest, Top
from clustering.neighbours.vectors import IDS, INDEX, KeptIndex, pool_vectors, write_index
from manifests.errors import StepError
from manifests.vectors.units import units_of


def numbers(*values: float) -> np.ndarray:
    return np.array(values)


def test_of_equal_cosines_the_lower_number_counts_whichever_comes_first() -> None:
    for order in ((5, 2), (2, 5)):
        top = Top(1, 1)
        for at in order:
            top.add(numbers(0), numbers(at), np.array([0.5], np.float32))
        assert top.at.tolist() == [[2]]


def test_of_equal_cosines_the_lower_key_counts_whichever_comes_first() -> None:
    for order in ((5, 2), (2, 5)):
        found = Nearest(1)
        for at in order:
            keys = np.array([100 * at], np.uint64)
            found.add(numbers(0), numbers(at), np.array([0.5], np.float32), keys)
        assert found.at.tolist() == [2]


def test_kept_vectors_of_another_length_are_refused(tmp_path: Path) -> None:
    ids = pa.chunked_array([["a", "b"]])
    write_index(str(tmp_path), "part", ids, units_of(np.eye(2, 4)))
    kept = KeptIndex(str(tmp_path / f"part{IDS}"), str(tmp_path / f"part{INDEX}"))
    for width in (4, 5):
        column = pa.chunked_array([pa.nulls(2, pa.list_(pa.float16(), width))])
        if width == 4:
            assert pool_vectors(ids, column, 4, (kept,)).rows.tolist() == [0, 1]
            continue
        with pytest.raises(StepError, match="have 4 values, those of this run 5"):
            pool_vectors(ids, column, 5, (kept,))
