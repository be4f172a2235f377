"""Sorts records by family (a group of duplicates, or of images with near hashes), and limits how
many records of a family are compared with all others of the family."""

from __future__ import annotations

import numpy as np

MAX_COMPARED = 4096
"""In a family, at most this many records are compared with every record that is not linked yet (our
choice): 100,000 images of one family take a minute. Only families of images that have near hashes
but do not look the same need so many comparisons."""


def by_family(family: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts records by family (group of duplicates). Returns (starts, order): the records of family
    i, in ascending order of their positions, are order[starts[i] : starts[i + 1]].

    by_family([7, 2, 7]) -> [0, 1, 3], [1, 0, 2].
    """
    order = np.argsort(family, kind="stable")
    _, starts = np.unique(family[order], return_index=True)
    return np.append(starts, len(family)), order
