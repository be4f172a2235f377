"""Word 5-grams and clusters for the peers that leave both to their caller, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def grams(text: str, size: int = 5) -> list[str]:
    """The word n-grams of a text; of a shorter text, all of it."""
    words = text.lower().split()
    last = max(1, len(words) - size + 1)
    return [" ".join(words[at : at + size]) for at in range(last)]


def clusters(pairs: Iterable[tuple[int, int]], documents: int) -> np.ndarray[Any, Any]:
    """A label a document, the same for those that pairs connect."""
    parents = list(range(documents))

    def root(at: int) -> int:
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return np.array([root(at) for at in range(documents)])
