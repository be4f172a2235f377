"""Rows per CPU second of the text steps, on captions made here: `python -m benchmarks.text_steps`.

Each kernel is compared with the same measure in plain Python (languages: with fastText's own
`predict`) and with one raw pass of pyarrow over the same texts (`utf8_length`), all in the same
run. CPU time of one process; best of three.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.run_step import run_step
from filters.text.alphanumeric import Alphanumeric
from filters.text.character_repetition import CharacterRepetition
from filters.text.characters import Characters
from filters.text.language import Language
from filters.text.special_characters import SpecialCharacters
from filters.text.word_repetition import WordRepetition
from filters.text.words import Words
from manifests import record
from manifests.kernels import fasttext as classifier
from manifests.kernels import text_measures
from manifests.media import Media
from manifests.models.language_model import language_model, model_file
from manifests.step import RowStep
from manifests.text.code_points import ALPHANUMERIC, SPECIAL
from tests.filters.text import reference

Kernel = Callable[[pa.Array], object]
ROWS, BATCH_ROWS, SAMPLE = 200_000, 8192, 5_000
STEPS: list[RowStep] = [
    Words(min=3, max=256),
    Characters(min=6),
    Alphanumeric(min=0.25),
    SpecialCharacters(max=0.5),
    CharacterRepetition(max=0.2),
    WordRepetition(max=0.2),
]
LANGUAGE = Language()
FOREIGN = list("éüñßЖдя漢字猫のกلไทहि")


def captions(rows: int, seed: int = 17) -> pa.Array:
    """Captions of 10 to 300 characters, most of them short, with words by Zipf's law.

    Every tenth has words in other scripts, every fiftieth an emoji.
    """
    draw = np.random.default_rng(seed)
    latin = list("eeeeaaaiioottnnsshrrdlucmfwypvbgkjqxz")
    words = np.array(["".join(draw.choice(latin, draw.integers(2, 11))) for _ in range(20_000)])
    foreign = np.array(["".join(draw.choice(FOREIGN, draw.integers(1, 9))) for _ in range(2_000)])
    chances = 1 / np.arange(1, len(words) + 1)
    lengths = np.clip(draw.lognormal(3.9, 0.7, rows), 10, 300).astype(int)
    drawn = cycle(draw.choice(words, 4 * rows, p=chances / chances.sum()).tolist())
    others = cycle(draw.choice(foreign, rows).tolist())
    return pa.array([_caption(n, lengths[n], drawn, others) for n in range(rows)])


def _caption(number: int, length: int, words: Iterator[str], foreign: Iterator[str]) -> str:
    used: list[str] = []
    size = 0
    while size < length:
        used.append(next(foreign if number % 10 == 0 and len(used) % 3 == 0 else words))
        size += len(used[-1]) + 1
    return " ".join(used)[:length] + (" 👍🏽" if number % 50 == 0 else "")


def rate(work: Callable[[], object], rows: int, times: int = 3) -> float:
    """Rows per CPU second in the best of some runs; a first run is not counted."""
    work()
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return rows / best


def kernels_table(texts: pa.Array) -> None:
    some = texts.slice(0, SAMPLE).to_pylist()
    raw = rate(partial(pc.utf8_length, texts), len(texts))
    print(f"{'kernel':24}{'rows/CPU-s':>14}{'x Python':>10}{'x raw pass':>12}")
    print(f"{'raw pass (utf8_length)':24}{raw:14,.0f}{'':>10}{1:12.2f}")
    for name, kernel, python in compared():
        ours = rate(partial(kernel, texts), len(texts))
        plain = rate(partial(one_by_one, python, some), SAMPLE)
        print(f"{name:24}{ours:14,.0f}{ours / plain:10.1f}{ours / raw:12.2f}")


def one_by_one(measure: Callable[[str], object], texts: list[str]) -> list[object]:
    return [measure(text) for text in texts]


def compared() -> Iterator[tuple[str, Kernel, Callable[[str], object]]]:
    """Each kernel, and the function in plain Python that measures one text."""
    yield "words", text_measures.word_counts, reference.words
    yield "alphanumeric", partial(text_measures.shares, kind=ALPHANUMERIC), reference.alphanumeric
    yield "special_characters", partial(text_measures.shares, kind=SPECIAL), reference.special
    for name, n in (("character_repetition", 10), ("word_repetition", 5)):
        python = partial(getattr(reference, name), n=n)
        yield name, partial(getattr(text_measures, name), n=n), python
    theirs = fasttext.load_model(model_file()).f
    ours = partial(classifier.predict, model=language_model())
    yield "language (x fastText)", ours, lambda text: theirs.predict(text + "\n", 1, 0.0, "")


def steps_table(batches: list[pa.Table], media: Media) -> None:
    rows = sum(batch.num_rows for batch in batches)

    def show(name: str, *steps: Callable[[pa.Table], object]) -> None:
        found = rate(lambda: [[step(batch) for step in steps] for batch in batches], rows)
        print(f"{name:24}{found:14,.0f}")

    print(f"\n{'step':24}{'rows/CPU-s':>14}")
    for step in [*STEPS, LANGUAGE]:
        show(type(step).__name__, partial(run_step, step, media=media))
    show("all but Language", *(partial(run_step, step, media=media) for step in STEPS))
    show("all", *(partial(run_step, step, media=media) for step in [*STEPS, LANGUAGE]))
    show("(record.texts, in each)", lambda batch: record.texts(batch["content"]))


def loading_table() -> None:
    """CPU seconds to import the kernels: compiled anew, then from numba's cache."""
    run = "import time, numba; start = time.process_time();"
    run += "from manifests.kernels import fasttext as classifier, text_measures;"
    run += "print(f'{time.process_time() - start:.2f}')"
    print(f"\n{'kernels':24}{'CPU seconds':>14}")
    with tempfile.TemporaryDirectory() as cache:
        for name in ("compiled anew", "from the cache"):
            done = subprocess.run(
                [sys.executable, "-c", run],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{name:24}{done.stdout.strip():>14}")


def main() -> None:
    texts = captions(ROWS)
    lengths = pc.utf8_length(texts)
    print(
        f"{len(texts):,} captions, {pc.mean(lengths).as_py():.0f} characters on average "
        f"({', '.join(f'{q:.0f}' for q in np.quantile(lengths, [0.1, 0.5, 0.9, 1]))} at the 10th, "
        f"50th, 90th, 100th percentile)\n"
    )
    keys = [str(n) for n in range(len(texts))]
    names = pa.array(keys)
    table = record.captions("made", keys, names, texts, record.ImageColumns(uri=names))
    batches = [table.slice(at, BATCH_ROWS) for at in range(0, len(texts), BATCH_ROWS)]
    kernels_table(texts)
    steps_table(batches, Media())
    loading_table()


if __name__ == "__main__":
    main()
