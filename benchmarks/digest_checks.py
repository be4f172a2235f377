"""Share of the digests in the CPU seconds of a run: `python -m benchmarks.digest_checks`.

A corpus of texts, 200 MB by default, goes through text steps and a search for near-duplicates, in
one process. The first run writes all files and their digests. The second has another bound in its
last step, so it checks the files of all earlier passes before it reads them. The third has nothing
to do and only checks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate import recipe as recipes
from curate.engine.commits import damage
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from manifests import storage
from tests.make import write_texts

FILES, WORDS, DISTINCT = 8, 250, 50_000
"""Files of the corpus, words of a text, and distinct words of the corpus."""


class Clock:
    """CPU seconds spent in the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.process_time()
            try:
                return work(*arguments)
            finally:
                self.seconds += time.process_time() - start

        return timed


def texts(megabytes: int, seed: int = 17) -> list[str]:
    """Texts of WORDS words by Zipf's law; every tenth differs from the one before in one word."""
    draw = np.random.default_rng(seed)
    words = np.array([f"w{n:x}{'aeiou'[n % 5]}{n % 97}" for n in range(DISTINCT)])
    made: list[str] = []
    size = 0
    while size < megabytes << 20:
        text = " ".join(words[draw.zipf(1.2, WORDS) % DISTINCT])
        made.append(made[-1].rsplit(" ", 1)[0] if len(made) % 10 == 9 else text)
        size += len(made[-1])
    return made


def recipe(least: int) -> dict[str, Any]:
    steps = [
        {"words": {"min": 5}}, {"character_repetition": {}}, {"word_repetition": {}},
        {"duplicates": {"by": "minhash"}}, {"characters": {"min": least}},
    ]  # fmt: skip
    source = {"name": "texts", "reader": "table", "path": "data/*.jsonl", "text": "text"}
    return {"name": "digests", "sources": [source], "steps": steps}


def measured(what: str, base: Path, least: int) -> None:
    checks, writes = Clock(), Clock()
    start = time.process_time()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("curate.engine.run.damage", checks.wrap(damage))
        patched.setattr(storage.Sink, "write", _timed_hash(writes))
        loaded = recipes.build(recipe(least), base=str(base))
        Run(loaded, str(base / "out"), Inline(), Progress(quiet=True))()
    total = time.process_time() - start
    shares = ", ".join(
        f"{name} {clock.seconds:.3f} s ({clock.seconds / total:.2%})"
        for name, clock in (("checks", checks), ("digests of what is written", writes))
    )
    print(f"{what:<26} {total:8.2f} CPU s: {shares}")


def _timed_hash(clock: Clock) -> Callable[..., int]:
    """`Sink.write`, with the CPU time of its hash."""

    def write(self: Any, data: Any) -> int:
        clock.wrap(self._hash.update)(data)
        self._handle.write(data)
        size = memoryview(data).nbytes
        self.size_bytes += size
        return size

    return write


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=200)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_texts(base / "data", texts(given.megabytes), FILES)
        (base / "warm").mkdir()
        write_texts(base / "warm" / "data", texts(1), 1)
        measured("(kernels are compiled)", base / "warm", 1)
        measured("first run", base, 1)
        measured("another bound at the end", base, 40)
        measured("nothing to do", base, 40)


if __name__ == "__main__":
    main()
