"""Logarithms and exponentials by arithmetic alone, compared with those of the module `decimal`."""

import math
from decimal import Decimal, localcontext

import numpy as np

from curate.sampling.selection.exponentials import (
    exponential,
    exponentials,
    logarithm,
    one_minus_exponential,
)

PRECISE = 1.5e-15


def relative_error(found: np.ndarray, expected: list[Decimal]) -> float:
    return max(
        abs(float((Decimal(f) - e) / e)) for f, e in zip(found.tolist(), expected, strict=True)
    )


def test_a_key_becomes_minus_the_logarithm_of_what_is_left_to_one() -> None:
    chance = np.random.default_rng(1)
    keys = chance.integers(0, 2**64, 500, np.uint64, endpoint=False)
    keys = np.concatenate([keys, keys >> np.uint64(30), np.array([0, 1, 2**62, 2**64 - 1], "u8")])
    with localcontext() as context:
        context.prec = 60
        x = [(Decimal(key) + Decimal("0.5")) / 2**64 for key in keys.tolist()]
        assert relative_error(exponentials(keys), [-(1 - one).ln() for one in x]) < PRECISE


def test_logarithms_are_right_to_the_last_digits() -> None:
    x = np.concatenate([10.0 ** np.arange(-300, 300, 7), np.linspace(0.4, 3, 301)])
    x = np.append(x[x != 1], 5e-324)
    assert relative_error(logarithm(x), [Decimal(one).ln() for one in x.tolist()]) < PRECISE
    assert logarithm(np.array([1.0])).tolist() == [0.0]


def test_exponentials_are_right_to_the_last_digits() -> None:
    y = np.linspace(-700, 700, 1001)
    assert relative_error(exponential(y), [Decimal(one).exp() for one in y.tolist()]) < PRECISE
    ends = exponential(np.array([-np.inf, -1e9, 0, 1e9, np.inf]))
    assert ends.tolist() == [0, 0, 1, math.inf, math.inf]
    x = np.concatenate([10.0 ** np.arange(-300, 1, 9), np.linspace(0.1, 39, 200)])
    with localcontext() as context:
        context.prec = 400
        expected = [1 - (-Decimal(one)).exp() for one in x.tolist()]
        assert relative_error(one_minus_exponential(x), expected) < PRECISE
    assert one_minus_exponential(np.array([0.0, 50, np.inf])).tolist() == [0, 1, 1]
