"""Word 5-grams and clusters in plain Python, for peers that leave both to their caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def grams(text: str, size: int = 5) -> list[str]:
    """The word n-grams of a text: grams("a b c", 2) -> ["a b", "b c"]; a shorter text is one."""
    words = text.lower().split()
    last = max(1, len(words) - size + 1)
    return [" ".join(words[at : at + size]) for at in range(last)]


def clusters(pairs: Iterable[tuple[int, int]], documents: int) -> np.ndarray[Any, Any]:
    """A label per document, the same for connected ones: clusters([(0, 2)], 3) -> [0, 1, 0]."""
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
