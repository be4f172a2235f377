"""The measures of the text kernels in plain Python."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter


def words(text: str) -> int:
    return len(text.split())


def alphanumeric(text: str) -> float:
    return sum(c.isalnum() for c in text) / max(len(text), 1)


def special(text: str) -> float:
    return sum(unicodedata.category(c)[0] not in "LM" for c in text) / max(len(text), 1)


def character_repetition(text: str, n: int) -> float:
    counts = sorted(Counter(text[i : i + n] for i in range(len(text) - n + 1)).values())
    taken = min(math.isqrt(len(counts)), sum(c > 1 for c in counts))
    return sum(counts[len(counts) - taken :]) / max(sum(counts), 1)


def word_repetition(text: str, n: int) -> float:
    words = ["".join(c.lower()[0] for c in word) for word in text.split()]
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)).values()
    return sum(c for c in counts if c > 1) / max(sum(counts), 1)
