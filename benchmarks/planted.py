"""Writes a corpus of English-like documents with planted near-duplicates, and the truth about them.

    python -m benchmarks.planted FOLDER [--documents 20000] [--seed 17]

A document has about 1.5 KB. A tenth are copies of an earlier document, changed by one of nine
edits. Document `n` depends only on the seed and `n`: so a corpus is the beginning of every larger
one, and any text can be made again when it is needed.

`corpus.jsonl` has `id` and `text`. `truth.parquet` has the exact Jaccard similarity of every two
documents of one family (an original and its copies); documents of different families have almost
nothing in common. The sets compared are word 5-grams, where words are those of `lower().split()`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.peers.grams import grams

COPIES = 0.1
TRUTH = pa.schema(
    {"first": pa.int64(), "second": pa.int64(), "jaccard": pa.float64(), "level": pa.string()}
)
_FREQUENT = [
    "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "as", "was", "with", "be",
    "by", "on", "not", "he", "his", "but", "at", "are", "this", "have", "from", "or", "had", "an",
    "they", "which",
]  # fmt: skip
_CONSONANTS = [*"bcdfghjklmnprstvwz", "st", "tr", "ch", "sh", "th", "pl", "gr"]
_VOWELS = [*"aeiou", "ea", "ou", "io"]
_ACCENTS = str.maketrans("aeiou", "àéïöü")
_WORDS, _TICKETS = 60_000, 1 << 20


class Language:
    """An invented language: words of one to four syllables, one in a hundred with accents.

    The frequency of a word is proportional to 1 / rank^1.02, close to Zipf's law.
    """

    def __init__(self, seed: int = 1234) -> None:
        random = np.random.default_rng(seed)
        self.words = _vocabulary(random)
        weights = 1 / np.arange(2, len(self.words) + 2) ** 1.02
        shares = np.cumsum(weights / weights.sum())
        # A word has tickets in proportion to its frequency: drawing is one look-up, not a search.
        self._tickets = np.searchsorted(shares, (np.arange(_TICKETS) + 0.5) / _TICKETS)

    def draw(self, count: int, random: np.random.Generator) -> list[str]:
        """`count` random words, drawn by their frequency."""
        tickets = self._tickets[random.integers(0, _TICKETS, count)]
        return [self.words[rank] for rank in tickets.tolist()]

    def compose(self, count: int, random: np.random.Generator) -> str:
        """A text of `count` words: 6 to 23 in a sentence, six sentences in a paragraph."""
        words = self.draw(count, random)
        ends = np.cumsum(random.integers(6, 24, count // 6 + 1)).tolist()
        pieces, start = [], 0
        for number, end in enumerate(ends):
            if start >= count:
                break
            pieces.append("\n\n" if number % 6 == 0 else " ")
            pieces.append(_sentence(words[start:end], "?" if number % 7 == 6 else "."))
            start = end
        return "".join(pieces[1:])


def _vocabulary(random: np.random.Generator) -> list[str]:
    """All words, the most frequent first."""
    drawn = 2 * _WORDS
    counts = random.integers(1, 5, drawn)
    counts[:2000] = random.integers(1, 3, 2000)  # frequent words are short
    syllables = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
    picked = random.integers(0, len(syllables), (drawn, 4)).tolist()
    endings = [""] * len(_CONSONANTS) + _CONSONANTS
    ended = random.integers(0, len(endings), drawn).tolist()
    accented = (random.random(drawn) < 0.01).tolist()
    words = dict.fromkeys(_FREQUENT)
    for row, count, ending, accent in zip(picked, counts.tolist(), ended, accented, strict=True):
        word = "".join([syllables[at] for at in row[:count]]) + endings[ending]
        words[word.translate(_ACCENTS) if accent else word] = None
    return list(words)[:_WORDS]


def _sentence(words: list[str], mark: str) -> str:
    words[0] = words[0].capitalize()
    if len(words) > 9:
        words[len(words) // 2] += ","
    return " ".join(words) + mark


Edit = Callable[[str, Language, np.random.Generator], str]


def _unchanged(text: str, language: Language, random: np.random.Generator) -> str:
    return text


def _case_or_spaces(text: str, language: Language, random: np.random.Generator) -> str:
    if random.random() < 0.5:
        return text.upper()
    return text.replace(" ", "  ").replace("\n\n", " \n ")


def _word_before(text: str, language: Language, random: np.random.Generator) -> str:
    return language.draw(1, random)[0].capitalize() + " " + text


def _substituted(share: float) -> Edit:
    """An edit that replaces this share of the words, at least one, by random words."""

    def edit(text: str, language: Language, random: np.random.Generator) -> str:
        words = text.split(" ")
        count = max(1, round(share * len(words)))
        places = random.choice(len(words), count, replace=False).tolist()
        for place, word in zip(places, language.draw(count, random), strict=True):
            words[place] = word
        return " ".join(words)

    return edit


def _cut(text: str, language: Language, random: np.random.Generator) -> str:
    return text[: int(len(text) * 0.9)].rsplit(" ", 1)[0]


def _paragraph_inserted(text: str, language: Language, random: np.random.Generator) -> str:
    paragraphs = text.split("\n\n")
    added = language.compose(max(5, int(0.08 * len(text.split()))), random)
    paragraphs.insert(len(paragraphs) // 2, added)
    return "\n\n".join(paragraphs)


EDITS: dict[str, Edit] = {
    "unchanged": _unchanged,
    "case or spaces": _case_or_spaces,
    "a word before": _word_before,
    "0.5 % of words": _substituted(0.005),
    "1 % of words": _substituted(0.01),
    "2 % of words": _substituted(0.02),
    "4 % of words": _substituted(0.04),
    "last 10 % cut": _cut,
    "paragraph added": _paragraph_inserted,
}


class Corpus:
    """Which documents are copies of which, and the text of each.

    `sources[n]`: the original that document `n` is a copy of, or `n`. `levels[n]`: the position of
    its edit in `EDITS`, or -1 for an original.
    """

    def __init__(self, documents: int, seed: int = 17, copies: float = COPIES) -> None:
        self.seed = seed
        numbers = np.arange(documents)
        # One row per document, so that a smaller corpus draws the same rows.
        draws = np.random.default_rng(seed).random((documents, 3))
        copied = (draws[:, 0] < copies) & (numbers > 0)
        originals = np.flatnonzero(~copied)
        picked = originals[(draws[:, 1] * np.cumsum(~copied)).astype(np.int64)]
        self.sources = np.where(copied, picked, numbers)
        self.levels = np.where(copied, (draws[:, 2] * len(EDITS)).astype(np.int8), np.int8(-1))

    @cached_property
    def language(self) -> Language:
        return Language()

    def text(self, number: int) -> str:
        """The text of a document, made from the seed and its number."""
        random = np.random.default_rng((self.seed, number))
        if self.levels[number] < 0:
            count = int(np.clip(random.lognormal(np.log(230), 0.5), 30, 2000))
            return self.language.compose(count, random)
        edit: Edit = list(EDITS.values())[self.levels[number]]
        return edit(self.text(int(self.sources[number])), self.language, random)

    def families(self) -> Iterator[NDArray[np.int64]]:
        """For each original that has copies, its number and then theirs."""
        order = np.argsort(self.sources, kind="stable")
        starts = np.flatnonzero(np.diff(self.sources[order], prepend=-1))
        yield from (family for family in np.split(order, starts[1:]) if len(family) > 1)


def jaccard(one: set[str], other: set[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def truth(corpus: Corpus) -> pa.Table:
    """Every pair of a family: `first` < `second`, their Jaccard similarity, and `level`.

    `level` is the name of the edit that made `second` out of `first`; null for two copies.
    """
    rows: list[tuple[int, int, float, str | None]] = []
    names = list(EDITS)
    for family in corpus.families():
        members = family.tolist()
        sets = {number: set(grams(corpus.text(number))) for number in members}
        for first, second in combinations(members, 2):
            level = names[corpus.levels[second]] if first == members[0] else None
            rows.append((first, second, jaccard(sets[first], sets[second]), level))
    return pa.Table.from_pylist([dict(zip(TRUTH.names, row, strict=True)) for row in rows], TRUTH)


def write(folder: Path, documents: int, seed: int = 17) -> tuple[Path, Path]:
    """Write the corpus and the truth; returns the paths of both files."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(documents, seed)
    texts, pairs = folder / "corpus.jsonl", folder / "truth.parquet"
    with open(texts, "wb") as out:
        for number in range(documents):
            row = {"id": number, "text": corpus.text(number)}
            out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    pq.write_table(truth(corpus), pairs)
    return texts, pairs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=17)
    given = parser.parse_args()
    for path in write(given.folder, given.documents, given.seed):
        print(f"{path}  {path.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
