"""Vectors of a column, and the nearest of them, are the same in every batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from manifests.errors import StepError
from manifests.vectors import nearest as module
from manifests.vectors.nearest import nearest
from manifests.vectors.units import cosines, dimensions_of, present_units, units_of


def drawn(rows: int, dimensions: int = 17, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_rows_without_a_usable_vector_are_left_out(kind: pa.DataType) -> None:
    vectors = [[3, 4], None, [0, 0], [1, float("nan")], [float("inf"), 1], [None, 1], [0, -2]]
    halves = [v and [None if x is None else np.float16(x) for x in v] for v in vectors]
    for column in (pa.array(halves, pa.list_(kind)), pa.array(halves, pa.list_(kind, 2))):
        present = present_units(pa.chunked_array([column]), 2)
        assert present.rows.tolist() == [0, 6]
        assert present.units.vectors == pytest.approx(np.array([[0.6, 0.8], [0, -1]]))


@pytest.mark.filterwarnings("error")
def test_squares_that_float64_cannot_hold_do_not_matter() -> None:
    found = units_of(np.array([[3e200, 4e200], [-3e-200, 4e-200]]))
    assert found.vectors == pytest.approx(np.array([[0.6, 0.8], [-0.6, 0.8]]))


@pytest.mark.filterwarnings("error")
def test_very_short_and_very_long_vectors_have_cosines() -> None:
    units = units_of(np.array([[1e-40, 0], [3e38, 3e38]], np.float32))
    one, other = np.array([0, 1]), np.array([1, 1])
    assert cosines(units, one, units, other).tolist() == [pytest.approx(0.5**0.5), 1]


def test_equal_vectors_have_the_cosine_1() -> None:
    units = units_of(drawn(500))
    every = np.arange(500)
    assert (cosines(units, every, units, every) == 1).all()


def test_the_nearest_is_that_of_all_products(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, known = drawn(300), drawn(200, seed=1)
    monkeypatch.setattr(module, "TILE", 64)
    found = nearest(units_of(rows), units_of(known))
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (rows.astype(float), known)]
    product = unit[0] @ unit[1].T
    assert found.at.tolist() == product.argmax(axis=1).tolist()
    assert found.cosine == pytest.approx(product.max(axis=1), abs=1e-6)


def test_the_nearest_has_the_same_bits_in_any_batch() -> None:
    known = units_of(np.repeat(drawn(40, seed=1), 3, axis=0) + 1e-7)
    rows = drawn(64)
    whole = nearest(units_of(rows), known)
    for size in (1, 7, 64):
        parts = [nearest(units_of(rows[n : n + size]), known) for n in range(0, 64, size)]
        assert np.concatenate([part.at for part in parts]).tolist() == whole.at.tolist()
        assert np.concatenate([part.cosine for part in parts]).tobytes() == whole.cosine.tobytes()
    assert (whole.at % 3 == 0).all()  # the first of equal vectors


def test_without_known_vectors_nothing_is_near() -> None:
    found = nearest(units_of(drawn(3)), units_of(drawn(0)))
    assert found.at.tolist() == [-1, -1, -1]
    assert np.isneginf(found.cosine).all()


def test_columns_that_are_no_embeddings_are_refused() -> None:
    with pytest.raises(StepError, match="has the type string"):
        dimensions_of(pa.array(["a"]), "of")
    with pytest.raises(StepError, match="different numbers of values: 1 and 2"):
        dimensions_of(pa.array([[1.0], [1.0, 2.0]]), "of")
    assert dimensions_of(pa.array([None], pa.list_(pa.float16(), 4)), "of") is None
