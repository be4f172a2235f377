"""Phase 5 of 5: chooses the survivor of every family (group of duplicates), the unit that stays.
The other units refer to the survivor. A unit is a record or an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from filters.duplicates.kinds.perceptual import Tolerance
from filters.duplicates.phases.families import MAX_COMPARED, by_family
from filters.duplicates.phases.forest import Forest
from filters.duplicates.ranking.members import Members, similarity_of_bits


class Survivors(NamedTuple):
    """The result for each of the n units (records or images) of a forest: arrays (n,), in the order
    of the forest.

    `survivor` int64: the position of the best unit of the family (group of duplicates).
    `duplicate_of` int64: the position of the next unit on the path to the survivor, which may be
    the survivor itself. For a unit that stays, `survivor` and `duplicate_of` are -1. `similarity`
    float32: the similarity of the unit and `duplicate_of`. `family_size` int32: the number of units
    in the family, without units of earlier runs. If several units of a family stay, only the units
    with the same survivor, and the survivor, are counted.
    """

    survivor: np.ndarray
    duplicate_of: np.ndarray
    similarity: np.ndarray
    family_size: np.ndarray


def choose_survivors(forest: Forest, order: np.ndarray, from_earlier_run: np.ndarray) -> Survivors:
    """Chooses the unit (record or image) of each family of duplicates that stays: the family's
    first unit in `order`, which lists the positions of all units, best first.

    Units of an earlier run (`from_earlier_run`, (n,) bool) are never dropped and are not counted in
    `family_size`. They come first in `order`, so a family with a unit of an earlier run has such a
    unit as its survivor.
    """
    from manifests.kernels.union_find import edges_towards_roots

    nodes = len(forest.units)
    first = order[np.sort(np.unique(forest.component[order], return_index=True)[1])]
    survivor_of = np.full(nodes, -1, np.int64)
    survivor_of[forest.component[first]] = first
    survivor = survivor_of[forest.component]
    edge = edges_towards_roots(forest.a, forest.b, first, nodes)
    other_end = np.where(edge >= 0, forest.a[edge] + forest.b[edge] - np.arange(nodes), -1)
    dropped = (edge >= 0) & ~from_earlier_run
    size = np.bincount(forest.component[~from_earlier_run], minlength=nodes)[forest.component]
    return Survivors(
        np.where(dropped, survivor, -1),
        np.where(dropped, other_end, -1),
        np.where(dropped, forest.similarity[edge], np.nan).astype(np.float32),
        size.astype(np.int32),
    )


def choose_within_distance(
    forest: Forest,
    order: np.ndarray,
    from_earlier_run: np.ndarray,
    members: Members,
    tolerance: Tolerance,
) -> tuple[Survivors, int]:
    """Chooses the units (records or images) that stay, in rounds. In each family of duplicates, the
    best unit stays, and the units that look the same as this unit are dropped. Then the best of the
    remaining units stays, and so on.

    So every dropped unit looks the same as a unit that stays, which is its `duplicate_of`. `order`
    lists the positions of all units, best first. Units of an earlier run (`from_earlier_run`, (n,)
    bool) are never dropped. Also returns the number of units that were not compared with all other
    units of their family: at most MAX_COMPARED units of each family are compared with the others.
    """
    from manifests.kernels.look_families import starred

    assert members.looks is not None
    nodes = len(forest.units)
    starts, positions = by_family(forest.component[order])
    families = order[positions]
    links = starred(members.looks, starts, families, tolerance, MAX_COMPARED, from_earlier_run)
    survivor = np.full(nodes, -1, np.int64)
    survivor[links.second] = links.first
    similarity = np.full(nodes, np.nan, np.float32)
    similarity[links.second] = similarity_of_bits(links.bits)
    best = np.where(survivor >= 0, survivor, np.arange(nodes))
    size = np.bincount(best[~from_earlier_run], minlength=nodes)[best]
    return Survivors(survivor, survivor, similarity, size.astype(np.int32)), links.left
