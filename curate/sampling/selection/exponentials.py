"""Logarithms and exponential functions that have the same bits on every machine.

The functions of numpy and of the C library differ in the last bit between processors, which could
change the order of a sample. The functions here use only additions, multiplications, divisions and
scaling by powers of two, whose results IEEE 754 defines. Their relative error is below 1e-15
(measured in the tests).
"""

from __future__ import annotations

import math

import numpy as np

from manifests.record import uniform_numbers

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 as a sum; the first term times a whole number below 2^20 is exact (fdlibm, e_exp.c)."""
_ODD = [1 / (2 * k + 1) for k in range(11, -1, -1)]
"""Coefficients of atanh(s) / s as a polynomial in s^2, the highest power first. |s| is at most
0.172, so the omitted terms are below 1e-19."""
_FACTORIALS = [1 / math.factorial(k) for k in range(16, 0, -1)]
"""Coefficients of (exp(r) - 1) / r as a polynomial in r, the highest power first, for |r| up to ln
2 / 2."""
_NEAR = 0.25
"""For x below this, ln(1 - x) is computed from x itself, so that a small x loses no digits."""
_ONE_FROM = 40.0
"""For x above this, 1 - exp(-x) is 1: exp(-40) is below half the distance from 1 to the next lower
float64."""
_LOWEST, _HIGHEST = -740.0, 709.0
"""The range of y in which exp(y) is a finite float64 over 0."""


def exponentials(keys: np.ndarray) -> np.ndarray:
    """Returns -ln(1 - x), a number over 0, for each key (uint64), where x = (key + 1/2) / 2^64.
    Uniformly distributed keys give numbers of the exponential distribution with rate 1. The larger
    the key, the larger the number."""
    x = uniform_numbers(keys)
    s = x / (2 - x)
    near = 2 * s * _horner(_ODD, np.minimum(s, 0.2) ** 2)
    return np.where(x < _NEAR, near, -logarithm(uniform_numbers(~keys)))


def logarithm(x: np.ndarray) -> np.ndarray:
    """Returns ln(x) of positive, finite numbers (float64)."""
    fraction, exponent = np.frexp(x)
    small = fraction < math.sqrt(0.5)
    fraction = np.where(small, 2 * fraction, fraction)
    power = (exponent - small).astype(np.float64)
    s = (fraction - 1) / (fraction + 1)
    logs: np.ndarray = power * _LN2_HIGH + (power * _LN2_LOW + 2 * s * _horner(_ODD, s * s))
    return logs


def exponential(y: np.ndarray) -> np.ndarray:
    """Returns exp(y); 0 below the range of float64, infinity above it."""
    power, rest = _reduced(np.clip(y, _LOWEST, _HIGHEST))
    inside = np.ldexp(1 + rest, power)
    return np.where(y > _HIGHEST, np.inf, np.where(y < _LOWEST, 0.0, inside))


def one_minus_exponential(x: np.ndarray) -> np.ndarray:
    """Returns 1 - exp(-x) for x >= 0, including infinity. Keeps the digits of the result for a
    small x."""
    power, rest = _reduced(-np.minimum(x, _ONE_FROM))
    inside = (1 - np.ldexp(np.ones_like(rest), power)) - np.ldexp(rest, power)
    return np.where(x > _ONE_FROM, 1.0, inside)


def _reduced(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits y into k ln 2 + r, where |r| is at most ln 2 / 2. Returns k and exp(r) - 1."""
    power = np.rint(y / _LN2_HIGH)
    r = (y - power * _LN2_HIGH) - power * _LN2_LOW
    return power.astype(np.int32), r * _horner(_FACTORIALS, r)


def _horner(coefficients: list[float], x: np.ndarray) -> np.ndarray:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total
