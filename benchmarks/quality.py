"""How well an engine finds near-duplicates: recall and precision against the exact truth.

The truth is the table that `benchmarks.planted` writes: the Jaccard similarity of every two
documents of a family. A document is a duplicate if its similarity with another is at least
`threshold`.
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
    """The answer of an engine, one value for each document; `kind` is what the values are.

    `clusters`: a label, the same for documents that the engine takes for copies of each other.
    `flags`: whether the document has a copy. `removed`: whether the document is removed because a
    copy of it stays.
    """

    kind: Kind
    values: NDArray[Any]


class Quality(NamedTuple):
    """Shares from 0 to 1; NaN if there are no documents or pairs to count.

    `recall`: of the duplicates, those found. `precision`: of the documents found, the duplicates.
    `pair_recall`: of the pairs in each interval of `edges`, those found. `level_recall`: the same
    by edit.
    """

    recall: float
    precision: float
    pair_recall: list[float]
    level_recall: dict[str, float]


def edges(threshold: float) -> NDArray[np.float64]:
    """Bounds of four intervals of similarity: edges(0.8) -> [0.8, 0.85, 0.9, 0.95, 1]."""
    return np.linspace(threshold, 1, STEPS + 1).round(6)


def quality(answer: Answer, truth: pa.Table, threshold: float) -> Quality:
    """Compare an answer with the truth.

    For an engine that only flags or removes documents a pair counts as found if both are flagged,
    or one is removed; so its pair recall is an upper bound.
    """
    similar = truth.filter(pc.greater_equal(truth["jaccard"], threshold))
    first, second = similar["first"].to_numpy(), similar["second"].to_numpy()
    duplicate = np.zeros(len(answer.values), bool)
    duplicate[first] = duplicate[second] = True
    found = _found(answer, first, second)
    reported = _reported(answer)
    recalled = reported.copy()
    if answer.kind == "removed":  # of a pair the one that stays is found too
        recalled[first[found]] = recalled[second[found]] = True
    return Quality(
        _share(recalled[duplicate]),
        _share(duplicate[reported]),
        [_share(found[within]) for within in _intervals(similar, threshold)],
        {level: _share(found[at]) for level, at in _levels(similar).items()},
    )


def _reported(answer: Answer) -> NDArray[np.bool_]:
    """Which documents the engine reports: in a cluster with others, flagged, or removed."""
    if answer.kind != "clusters":
        return answer.values.astype(bool)
    _, cluster, sizes = np.unique(answer.values, return_inverse=True, return_counts=True)
    return np.asarray(sizes[cluster] > 1)


def _found(
    answer: Answer, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which pairs the engine has found."""
    one, other = answer.values[first], answer.values[second]
    if answer.kind == "clusters":
        return np.asarray(one == other)
    return np.asarray(one & other if answer.kind == "flags" else one | other)


def _intervals(similar: pa.Table, threshold: float) -> list[NDArray[np.bool_]]:
    bounds = edges(threshold)
    interval = np.searchsorted(bounds[1:-1], similar["jaccard"].to_numpy(), side="right")
    return [interval == step for step in range(STEPS)]


def _levels(similar: pa.Table) -> dict[str, NDArray[np.bool_]]:
    levels = similar["level"].unique().drop_null().to_pylist()
    return {
        level: pc.equal(similar["level"], level).fill_null(False).to_numpy() for level in levels
    }


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
