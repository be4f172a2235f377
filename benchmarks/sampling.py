"""Texts weighted, matched and ranked in a CPU second, beside other packages in the same run.

    python -m benchmarks.sampling [--documents 4000] [--entries 500000]

* DSIR: the kernel of the step `dsir` on documents of about 1.5 KB, beside `get_ngram_counts` of the
  authors' package and the dot product with the weights of the buckets.
* Entities: the kernel of the step `entities` on the first 20 words of each document, with a list of
  phrases of one to four words, beside an automaton of pyahocorasick that searches for ` phrase ` in
  text whose words stand between spaces. Both must find the same phrases.
* `sample`: the ranks of a million records.

The packages are optional: `pip install --target DIR --no-deps pyahocorasick data-selection nltk
joblib regex tqdm click cloudpickle`, and DIR in PYTHONPATH. CPU time of one process; best of three.
"""

from __future__ import annotations

import argparse
import importlib
import re
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.planted import Language
from benchmarks.text_steps import rate
from curate.sampling.selection.ranking import rank_rows
from manifests import record
from manifests.kernels.gram_buckets import bucket_counts, bucket_scores
from manifests.kernels.phrases import find_phrases, phrase_table

BUCKETS, FEW, CAPTION_WORDS = 10_000, 300, 20
"""FEW: documents that the authors' package weights, which is slow."""


def optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return None


def microseconds(work: Callable[[], object], rows: int) -> float:
    return 1e6 / rate(work, rows)


def dsir_table(texts: list[str]) -> None:
    documents, values = pa.array(texts), np.random.default_rng(0).normal(size=BUCKETS)
    size = np.mean([len(text.encode()) for text in texts])
    ours = microseconds(partial(bucket_scores, documents, values), len(texts))
    fit = microseconds(partial(bucket_counts, documents, BUCKETS), len(texts))
    print(f"\nDSIR, documents of {size:.0f} bytes: {ours:.2f} us to weight, {fit:.2f} us to count")
    package = optional("data_selection.hashed_ngram_dsir")
    if package is None:
        return

    def theirs() -> None:
        for text in texts[:FEW]:
            np.dot(values, package.get_ngram_counts(text, n=2, num_buckets=BUCKETS))

    reference = microseconds(theirs, FEW)
    print(f"data-selection: {reference:.0f} us; ours is {reference / ours:.0f} times as fast")
    _, tokens = bucket_scores(documents.slice(0, FEW), values)
    counted = [
        int(package.get_ngram_counts(t, n=2, num_buckets=BUCKETS).sum()) for t in texts[:FEW]
    ]
    same = np.mean([2 * n - 1 == m for n, m in zip(tokens.tolist(), counted, strict=True)])
    print(f"documents with the same number of features: {same:.4f}")


def phrases(language: Language, count: int) -> list[str]:
    """Phrases of one to four words, most of them of frequent words."""
    draw = np.random.default_rng(1)
    found = set(language.words[:20_000][:count])
    while len(found) < count:
        ranks = (draw.zipf(1.3, int(draw.integers(1, 5))) - 1) % len(language.words)
        found.add(" ".join(language.words[rank] for rank in ranks.tolist()))
    return sorted(found)


def entities_table(texts: list[str], entries: list[str]) -> None:
    captions = [" ".join(re.findall(r"\w+", text.lower())[:CAPTION_WORDS]) for text in texts]
    start = time.process_time()
    table, numbers = phrase_table(pa.array(entries))
    built = time.process_time() - start
    own = pa.array(captions)
    ours = microseconds(partial(find_phrases, own, table), len(captions))
    size = np.mean([len(caption.encode()) for caption in captions])
    memory = sum(array.nbytes for array in table[:2]) / 1e6
    print(f"\n{len(entries):,} phrases in captions of {size:.0f} bytes: {ours:.2f} us; the table "
          f"is built in {built:.1f} s and has {memory:.0f} MB")  # fmt: skip
    package = optional("ahocorasick")
    if package is not None:
        found = find_phrases(own, table)
        beside_automaton(
            package, dict(zip(entries, numbers.tolist(), strict=True)), captions, ours, found
        )


def beside_automaton(
    package: Any,
    entries: dict[str, int],
    captions: list[str],
    ours: float,
    matches: tuple[np.ndarray, np.ndarray],
) -> None:
    """Compares with pyahocorasick. `entries`: the number of each phrase; `ours`: microseconds for a
    caption; `matches`: what our kernel found."""
    automaton = package.Automaton()
    start = time.process_time()
    for entry, number in entries.items():
        automaton.add_word(f" {entry} ", number)
    automaton.make_automaton()
    built = time.process_time() - start
    spaced = [f" {caption} " for caption in captions]

    def theirs() -> list[set[int]]:
        return [{number for _, number in automaton.iter(caption)} for caption in spaced]

    def as_lists() -> list[list[int]]:
        return [[number for _, number in automaton.iter(caption)] for caption in spaced]

    reference, lists = (microseconds(work, len(captions)) for work in (theirs, as_lists))
    print(f"pyahocorasick: {reference:.2f} us, built in {built:.1f} s; ours is "
          f"{reference / ours:.1f} times as fast; if each match is listed, not each phrase once: "
          f"{lists:.2f} us, {lists / ours:.1f} times")  # fmt: skip
    ends, found = matches
    sets = [set(found[a:b].tolist()) for a, b in pairwise(ends)]
    same = np.mean([a == b for a, b in zip(sets, theirs(), strict=True)])
    print(f"captions with the same phrases: {same:.4f}, of {len(found)} matches")


def ranks_table(rows: int = 1_000_000) -> None:
    ids = record.record_ids("made", map(str, range(rows)))
    table = pa.table({"id": ids, "w": np.random.default_rng(0).random(rows)})
    plain = rate(lambda: rank_rows(table, 1, (), None, None, None), rows)
    weighted = rate(lambda: rank_rows(table, 1, (), "w", None, None), rows)
    print(f"\nranks: {plain:,.0f} records/CPU-s, with weights {weighted:,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--entries", type=int, default=500_000)
    options = parser.parse_args()
    language, draw = Language(), np.random.default_rng(17)
    texts = [language.compose(240, draw) for _ in range(options.documents)]
    dsir_table(texts)
    entities_table(texts, phrases(language, options.entries))
    ranks_table()


if __name__ == "__main__":
    main()
