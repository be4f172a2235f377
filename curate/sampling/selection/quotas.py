"""Divides a total over groups: computes how much each group gives to a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby

Path = tuple[str, ...]
"""A group: its value in each column of `by`, the outermost column first."""


def filled(total: int, weights: Sequence[int], available: Sequence[int]) -> list[int]:
    """Returns how much each group gives: min(x * weight, available), where x is chosen so that the
    sum is `total` ("water filling"). If the groups have less than `total` together, each group with
    a weight gives all that it has.

    `filled(10, [1, 1, 1], [2, 9, 9]) -> [2, 4, 4]`. Amounts are rounded down; what is left goes to
    the groups with the largest remainders. Of groups with equal remainders, the earlier one is
    first (our choice).
    """
    given = [0] * len(weights)
    left, weight_left = total, sum(weights)
    open_groups = [n for n, weight in enumerate(weights) if weight]
    open_groups.sort(key=lambda n: Fraction(available[n], weights[n]))
    full = 0
    for n in open_groups:  # the groups that have less than their part give all
        if available[n] * weight_left > left * weights[n]:
            break
        given[n] = available[n]
        left -= available[n]
        weight_left -= weights[n]
        full += 1
    del open_groups[:full]
    for n in open_groups:
        given[n] = left * weights[n] // weight_left
    rest = left - sum(given[n] for n in open_groups)
    open_groups.sort(key=lambda n: (-(left * weights[n] % weight_left), n))
    for n in open_groups[:rest]:
        given[n] += 1
    return given


def equal(total: int, available: Mapping[Path, int]) -> dict[Path, int]:
    """Divides the total equally over the outermost groups, then the part of each group over the
    groups inside it, and so on.

    This is the hierarchical sampling of Vo et al. 2024 (arXiv 2405.15613): at each level, x is
    chosen so that the sum of min(x, size of a cluster) is the total.
    """
    if not available or () in available:
        return {path: min(total, size) for path, size in available.items()}
    inside = {
        top: {path[1:]: available[path] for path in paths}
        for top, paths in groupby(sorted(available), key=lambda path: path[0])
    }
    sizes = [sum(sizes.values()) for sizes in inside.values()]
    given = filled(total, [1] * len(sizes), sizes)
    return {
        (top, *rest): amount
        for (top, sizes_inside), share in zip(inside.items(), given, strict=True)
        for rest, amount in equal(share, sizes_inside).items()
    }


def proportional(
    total: int, available: Mapping[Path, int], weights: Mapping[Path, float]
) -> dict[Path, int]:
    """Divides the total in the proportions of `weights`. A group that has less than its quota gives
    all that it has. A group without a weight is not in the result."""
    paths = sorted(path for path in available if path in weights)
    given = filled(total, _whole([weights[p] for p in paths]), [available[p] for p in paths])
    return dict(zip(paths, given, strict=True))


def _whole(weights: Sequence[float]) -> list[int]:
    """Returns whole numbers in exactly the proportions of `weights`: [0.5, 0.25] -> [2, 1]."""
    fractions = [Fraction(weight) for weight in weights]
    scale = max((fraction.denominator for fraction in fractions), default=1)  # powers of two
    return [int(fraction * scale) for fraction in fractions]
