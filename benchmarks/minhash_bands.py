"""Recall of MinHash at the threshold, for several thresholds, and the CPU time that it takes.

    python -m benchmarks.minhash_bands [--pairs 10000] [--seed 17]

For each threshold a corpus of pairs is made whose exact Jaccard similarity is the threshold, or as
little above it as texts of 200 words allow. Two texts of different pairs have almost nothing in
common. A pair is found if its texts are in one family. `chosen` are the bands that follow from the
threshold; `20 x 6` are the bands of the default threshold, 0.8, for all thresholds.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.corpus_step import run_step, write_parts
from benchmarks.planted import Language
from filters.duplicates.duplicates import Duplicates

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
WORDS, N = 200, 5


def planted_pairs(threshold: float, pairs: int, seed: int) -> Iterator[str]:
    """Yield the two texts of each pair: they begin with the same words, and end with others."""
    language, random = Language(), np.random.default_rng(seed)
    grams = WORDS - N + 1
    # The similarity of two texts with s of their g n-grams in common is s / (2 g - s).
    common = math.ceil(2 * grams * threshold / (1 + threshold) - 1e-9) + N - 1
    for number in range(pairs):
        words = language.draw(2 * WORDS - common, random)
        words[common], words[WORDS] = f"first{number}", f"second{number}"  # the texts differ here
        yield " ".join(words[:WORDS])
        yield " ".join(words[:common] + words[WORDS:])


def recall(texts: pa.Array, **settings: object) -> tuple[float, float]:
    """The share of pairs that are in one family, and the CPU seconds of the step."""
    with tempfile.TemporaryDirectory() as folder:
        views = write_parts(texts, Path(folder))
        made = run_step(views, "duplicates", {"by": "minhash", **settings})
    return float((made.label[::2] == made.label[1::2]).mean()), made.cpu_seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    recall(pa.array(list(planted_pairs(0.8, 10, 0))))  # loads the kernels
    print("| threshold | chosen | recall | CPU-s | recall of 20 x 6 | CPU-s |")
    print("|---|---|---|---|---|---|")
    for threshold in THRESHOLDS:
        texts = pa.array(list(planted_pairs(threshold, options.pairs, options.seed)))
        step = Duplicates.model_validate({"by": "minhash", "threshold": threshold})
        ours = recall(texts, threshold=threshold)
        usual = recall(texts, threshold=threshold, bands=20, rows=6)
        print(f"| {threshold:g} | {step.bands} x {step.rows} | {ours[0]:.4f} | {ours[1]:.2f} | "
              f"{usual[0]:.4f} | {usual[1]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
