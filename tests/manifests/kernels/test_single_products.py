"""Products of float32 matrices with a fixed order of additions."""

from __future__ import annotations

import numpy as np

from manifests.kernels.single_products import times


def test_a_product_equals_the_sums_in_order() -> None:
    random = np.random.default_rng(0)
    one = random.standard_normal((13, 29)).astype(np.float32)
    other = random.standard_normal((29, 17)).astype(np.float32)
    expected = np.zeros((13, 17), np.float32)
    for i in range(29):
        expected += one[:, i : i + 1] * other[i]
    found = times(one, other)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(times(one[5:7].copy(), other), found[5:7])


def test_empty_matrices_have_empty_products() -> None:
    assert times(np.zeros((0, 3), np.float32), np.zeros((3, 2), np.float32)).shape == (0, 2)
