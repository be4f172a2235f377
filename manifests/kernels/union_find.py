"""Spanning forests by union-find, and the path from each node of a forest to the root of its
tree."""

from __future__ import annotations

import numpy as np
from numba import boolean, int64, types, void

from manifests.kernels.compiling import compiled, inlined

_NODES = types.Array(int64, 1, "C", readonly=True)


def spanning_edges(a: np.ndarray, b: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Computes Kruskal's spanning forest. Edge i connects the nodes a[i] and b[i], which are int64;
    the edges are taken in their order.

    Returns (edges,) bool: whether each edge is in the forest; and (nodes,) int64: the lowest node
    in the tree that contains each node. Edges 0-1, 1-2, 0-2 -> [True, True, False], [0, 0, 0].
    """
    kept, lowest = np.zeros(len(a), np.bool_), np.arange(nodes, dtype=np.int64)
    _span(a, b, kept, lowest)
    return kept, lowest


def edges_towards_roots(a: np.ndarray, b: np.ndarray, roots: np.ndarray, nodes: int) -> np.ndarray:
    """Returns (nodes,) int64: for each node of a forest, the index of the first edge on the path to
    the root of its tree. Edge i connects the nodes a[i] and b[i].

    The value is -1 for the roots, and for nodes of trees without a root. A forest of the edges 0-1
    and 1-2 with root 0 -> [-1, 0, 1].
    """
    towards = np.full(nodes, -1, np.int64)
    _walk(a, b, roots, nodes, towards)
    return towards


@inlined
def find(parents: np.ndarray, node: int) -> int:
    """Returns the root of a node's tree. The search also moves nodes closer to the root (path
    halving)."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled(void(_NODES, _NODES, boolean[::1], int64[::1]))
def _span(a: np.ndarray, b: np.ndarray, kept: np.ndarray, lowest: np.ndarray) -> None:
    for edge in range(len(a)):
        first, second = find(lowest, a[edge]), find(lowest, b[edge])
        if first != second:
            kept[edge] = True
            lowest[max(first, second)] = min(first, second)
    for node in range(len(lowest)):
        lowest[node] = find(lowest, node)


@compiled(void(_NODES, _NODES, _NODES, int64, int64[::1]))
def _walk(a: np.ndarray, b: np.ndarray, roots: np.ndarray, nodes: int, towards: np.ndarray) -> None:
    """Does the work of `edges_towards_roots`: searches breadth-first from all roots, and writes
    into `towards` the index of the first edge on the path from each node to its root. The values of
    the roots, and of nodes that no root reaches, stay as they are."""
    starts = np.zeros(nodes + 1, np.int64)  # where the list of each node's edges starts
    for edge in range(len(a)):
        starts[a[edge] + 1] += 1
        starts[b[edge] + 1] += 1
    for node in range(nodes):
        starts[node + 1] += starts[node]
    edges, filled = np.empty(2 * len(a), np.int64), starts[:-1].copy()
    for edge in range(len(a)):
        for node in (a[edge], b[edge]):
            edges[filled[node]] = edge
            filled[node] += 1
    queue, reached = np.empty(nodes, np.int64), np.zeros(nodes, np.bool_)
    end = 0
    for root in roots:
        reached[root] = True
        queue[end] = root
        end += 1
    at = 0
    while at < end:
        node = queue[at]
        at += 1
        for k in range(starts[node], starts[node + 1]):
            other = a[edges[k]] + b[edges[k]] - node
            if not reached[other]:
                reached[other] = True
                towards[other] = edges[k]
                queue[end] = other
                end += 1
