"""What the texts of a cluster are about: the terms that are frequent in them and rare elsewhere."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from manifests.text.code_points import ALPHANUMERIC, SPECIAL, class_table, without_spaces

PRIOR = 500
"""The weight of the prior of `distinctive_terms`, in terms (our choice)."""


def terms(text: str) -> set[str]:
    """Returns the different terms of a text, in lower case.

    A term is a word: a run of letters, combining marks and numbers. In a script without spaces it
    is a pair of neighbouring characters, because such a script shows no borders of words.

    terms("A red fox. 浣熊夜") -> {"a", "red", "fox", "浣熊", "熊夜"}
    """
    found: set[str] = set()
    for unspaced, word in _runs().findall(text.lower()):
        if len(unspaced) > 1:
            found.update(one + other for one, other in pairwise(unspaced))
        else:
            found.add(unspaced or word)
    return found


def count_terms(texts: Iterable[str]) -> Counter[str]:
    """Returns in how many of the texts each term occurs."""
    counts: Counter[str] = Counter()
    for text in texts:  # a loop over rows: of a few thousand texts
        counts.update(terms(text))
    return counts


def distinctive_terms(own: Counter[str], corpus: Counter[str], count: int) -> list[str]:
    """Returns the `count` terms that distinguish the texts of a cluster most. A term that is not
    more frequent in the cluster than in the corpus is left out.

    The terms are ordered by a score: the log-odds ratio with an informative Dirichlet prior,
    divided by its standard deviation (Monroe, Colaresi and Quinn 2008, section 3.5.1); the prior is
    the distribution of terms in the cluster and the corpus together. `own` and `corpus` have the
    number of texts with each term.
    """
    totals = own.total(), corpus.total()
    scored = []
    for term, found in own.items():
        elsewhere = corpus[term]
        prior = PRIOR * (found + elsewhere) / sum(totals)
        one, other = found + prior, elsewhere + prior
        odds = math.log(one / (totals[0] + PRIOR - one))
        odds -= math.log(other / (totals[1] + PRIOR - other)) if totals[1] else 0
        scored.append((-odds / math.sqrt(1 / one + 1 / other), term))
    return [term for score, term in sorted(scored)[:count] if score < 0]


@lru_cache(maxsize=1)
def _runs() -> re.Pattern[str]:
    """Returns a pattern with two groups: group 1 matches a run of characters of scripts without
    spaces, and group 2 any other word."""
    classes, unspaced = class_table(), without_spaces()
    in_words = (classes & ALPHANUMERIC > 0) | (classes & SPECIAL == 0)
    return re.compile(f"([{_ranges(in_words & unspaced)}]+)|([{_ranges(in_words & ~unspaced)}]+)")


def _ranges(members: np.ndarray) -> str:
    """Returns the code points for which `members` is true, as the ranges of a character class."""
    edges = np.flatnonzero(np.diff(members.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return "".join(rf"\U{first:08x}-\U{end - 1:08x}" for first, end in edges.tolist())
