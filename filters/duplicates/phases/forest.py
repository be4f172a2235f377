"""Phase 4 of 5: reduces all pairs of duplicates to a spanning forest; each of its trees is a family
of duplicates.

A family is a connected component: a and c are in one family if both are duplicates of b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from filters.duplicates.files.edges import Edges


class Forest(NamedTuple):
    """A maximum spanning forest of the pairs of duplicates. Its nodes are the units (records or
    images) that have a duplicate.

    `units` (n,) uint64: the ids of the units, ascending. `component` (n,) int64: for each unit, the
    position of the unit with the lowest id in the same family (connected component). Edge i joins
    the units at positions a[i] and b[i] (int64) and has similarity[i] (float32).
    """

    units: np.ndarray
    component: np.ndarray
    a: np.ndarray
    b: np.ndarray
    similarity: np.ndarray

    @property
    def edges(self) -> Edges:
        return Edges(self.units[self.a], self.units[self.b], self.similarity)


def spanning_forest(edges: Edges) -> Forest:
    """Returns a maximum spanning forest: the most similar pairs that connect the same units
    (records or images). Of several pairs with equal similarity, the pairs with lower unit ids are
    preferred.

    Edges 1-2 (0.9), 2-3 (0.8) and 1-3 (0.7) form one component; the first two edges are kept.
    """
    from manifests.kernels.union_find import spanning_edges

    order = np.lexsort((edges.b, edges.a, -edges.similarity))
    units = np.unique(np.concatenate([edges.a, edges.b]))
    a = np.searchsorted(units, edges.a[order])
    b = np.searchsorted(units, edges.b[order])
    kept, component = spanning_edges(a, b, len(units))
    return Forest(units, component, a[kept], b[kept], edges.similarity[order][kept])
