"""The tree of labels of a hierarchical softmax."""

from __future__ import annotations

import numpy as np

_NOT_BUILT = 10**15
"""The count that fastText gives each inner node of the tree before its children are known. The
counts of labels are lower."""


def label_tree(counts: list[int]) -> np.ndarray:
    """Returns int32 (2 labels - 1, 2): the Huffman tree of labels, from their counts in descending
    order.

    Each row has the left and the right child of a node. Leaves come first, in the order of the
    labels; their children are -1. Children come before their parent, and the root is last.

    >>> label_tree([5, 2, 1]).tolist()
    [[-1, -1], [-1, -1], [-1, -1], [2, 1], [3, 0]]
    """
    labels = len(counts)
    totals = counts + [_NOT_BUILT] * (labels - 1)
    children = np.full((2 * labels - 1, 2), -1, np.int32)
    leaf, inner = labels - 1, labels
    for node in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and totals[leaf] < totals[inner]:
                children[node, side], leaf = leaf, leaf - 1
            else:
                children[node, side], inner = inner, inner + 1
        totals[node] = totals[children[node, 0]] + totals[children[node, 1]]
    return children
