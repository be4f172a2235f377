"""The tree of labels of a hierarchical softmax."""

from __future__ import annotations

import numpy as np

_NOT_BUILT = 10**15
"""fastText's count of an inner node that is not built yet; labels occur less often."""


def label_tree(counts: list[int]) -> np.ndarray:
    """The Huffman tree of labels by their counts, which fall: int32 (2 labels - 1, 2).

    Each row has the left and the right child of a node. Leaves come first, in the order of the
    labels, with -1 for their children; children come before their parent, and the root is last.

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
