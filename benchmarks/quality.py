"""How well an engine finds near-duplicates: recall and precision against an exact truth.

The truth is the table that `benchmarks.planted` writes: the Jaccard similarity of every pair that
shares anything to speak of. A document is a duplicate when another is at least `threshold` like it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Kind = Literal["clusters", "flags", "removed"]
STEPS = 4


class Answer(NamedTuple):
    """What an engine tells, one value a document.

    `clusters`: a label, shared by those it holds for copies of each other. `flags`: whether it
    has a copy. `removed`: whether it goes because of a copy that stays.
    """

    kind: Kind
    values: NDArray[Any]


class Quality(NamedTuple):
    """Shares, NaN where there is nothing to share.

    `recall` of the documents that are duplicates, `precision` of those named as such,
    `pair_recall` by interval of similarity as `edges` cut it, `level_recall` by edit.
    """

    recall: float
    precision: float
    pair_recall: list[float]
    level_recall: dict[str, float]


def edges(threshold: float) -> NDArray[np.float64]:
    """Bounds of four intervals of similarity from the threshold to 1, the last one closed."""
    return np.linspace(threshold, 1, STEPS + 1).round(6)


def quality(answer: Answer, truth: pa.Table, threshold: float) -> Quality:
    """Judge an answer.

    An engine that only flags or removes is given every pair it may have found: both are flagged,
    or one is removed. So its pair recall is an upper bound.
    """
    alike = truth.filter(pc.greater_equal(truth["jaccard"], threshold))
    first, second = alike["first"].to_numpy(), alike["second"].to_numpy()
    duplicate = np.zeros(len(answer.values), bool)
    duplicate[first] = duplicate[second] = True
    found = _found(answer, first, second)
    named = _named(answer)
    answered = named.copy()
    if answer.kind == "removed":  # the one that stays is answered by the one that goes
        answered[first[found]] = answered[second[found]] = True
    return Quality(
        _share(answered[duplicate]),
        _share(duplicate[named]),
        [_share(found[within]) for within in _intervals(alike, threshold)],
        {level: _share(found[at]) for level, at in _levels(alike).items()},
    )


def _named(answer: Answer) -> NDArray[np.bool_]:
    if answer.kind != "clusters":
        return answer.values.astype(bool)
    _, cluster, sizes = np.unique(answer.values, return_inverse=True, return_counts=True)
    return np.asarray(sizes[cluster] > 1)


def _found(
    answer: Answer, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    one, other = answer.values[first], answer.values[second]
    if answer.kind == "clusters":
        return np.asarray(one == other)
    return np.asarray(one & other if answer.kind == "flags" else one | other)


def _intervals(alike: pa.Table, threshold: float) -> list[NDArray[np.bool_]]:
    bounds = edges(threshold)
    interval = np.searchsorted(bounds[1:-1], alike["jaccard"].to_numpy(), side="right")
    return [interval == step for step in range(STEPS)]


def _levels(alike: pa.Table) -> dict[str, NDArray[np.bool_]]:
    levels = alike["level"].unique().drop_null().to_pylist()
    return {level: pc.equal(alike["level"], level).fill_null(False).to_numpy() for level in levels}


def _share(held: NDArray[np.bool_]) -> float:
    return float(held.mean()) if len(held) else float("nan")
