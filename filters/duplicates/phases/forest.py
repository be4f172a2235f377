"""Families: the connected units, the strongest links between them, and who stays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from filters.duplicates.phases.edges import Edges


class Forest(NamedTuple):
    """A maximum spanning forest over the units that have a duplicate.

    `units` (n,) uint64 ascending; `family` (n,) int64, the position of the lowest unit of its
    family; edges as positions `a`, `b` (int64) with their `similarity`.
    """

    units: np.ndarray
    family: np.ndarray
    a: np.ndarray
    b: np.ndarray
    similarity: np.ndarray

    @property
    def edges(self) -> Edges:
        return Edges(self.units[self.a], self.units[self.b], self.similarity)


def forest(edges: Edges) -> Forest:
    """The strongest links that connect what is connected; of equal ones those of lower units."""
    from manifests.kernels.forest import spanning

    order = np.lexsort((edges.b, edges.a, -edges.similarity))
    units = np.unique(np.concatenate([edges.a, edges.b]))
    a = np.searchsorted(units, edges.a[order])
    b = np.searchsorted(units, edges.b[order])
    kept, family = spanning(a, b, len(units))
    return Forest(units, family, a[kept], b[kept], edges.similarity[order][kept])


class Verdicts(NamedTuple):
    """For each unit of a forest, by position: who stays of its family, the one it is a duplicate
    of on the way there, how alike those two are, and how large the family is.

    `survivor` and `of` are -1 for those that stay.
    """

    survivor: np.ndarray
    of: np.ndarray
    similarity: np.ndarray
    family_size: np.ndarray


def verdicts(wood: Forest, order: np.ndarray, foreign: np.ndarray) -> Verdicts:
    """Let the first unit of each family in `order` (a permutation of positions) stay.

    Units that are `foreign` (bool) stay too, all of them: they are not of this corpus. The family
    of one that knows a foreign unit has that one for its survivor.
    """
    from manifests.kernels.forest import towards

    nodes = len(wood.units)
    first = order[np.sort(np.unique(wood.family[order], return_index=True)[1])]
    survivor_of = np.full(nodes, -1, np.int64)
    survivor_of[wood.family[first]] = first
    survivor = survivor_of[wood.family]
    by = towards(wood.a, wood.b, first, nodes)
    of = np.where(by >= 0, wood.a[by] + wood.b[by] - np.arange(nodes), -1)
    gone = (by >= 0) & ~foreign
    size = np.bincount(wood.family[~foreign], minlength=nodes)[wood.family]
    return Verdicts(
        np.where(gone, survivor, -1),
        np.where(gone, of, -1),
        np.where(gone, wood.similarity[by], np.nan).astype(np.float32),
        size.astype(np.int32),
    )
