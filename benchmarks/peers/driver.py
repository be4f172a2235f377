"""Shared by the drivers of the peers: the command line, the texts, and CPU seconds by stage.

    python -m benchmarks.peers.NAME CORPUS OUT --threshold 0.8 [--setting SETTING]

A driver runs in the interpreter in which its peer is installed; it may import the standard library,
numpy and the peer. `CORPUS` is JSON lines with `id` and `text`. The driver writes into the folder
`OUT` the file `answer.npy`, one value per document (see `benchmarks.quality.Answer`), and
`result.json`: the kind of the values, the threshold, the bands, and the CPU seconds of each stage.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# For every peer that lets its caller choose. With 16 bands of 8 rows, 95 % of the pairs with a
# similarity of 0.8 become candidates, and 61 % at 0.7: more than with most peers' own defaults.
PERMUTATIONS, BANDS, ROWS = 128, 16, 8
BATCH = 1000


class Job(NamedTuple):
    """What a driver has to do. `scratch`: an empty folder; `setting`: the variant of the driver."""

    corpus: Path
    scratch: Path
    threshold: float
    setting: str


class Found(NamedTuple):
    """The answer: `kind` and `values` as in `benchmarks.quality.Answer`, and the bands used."""

    kind: str
    values: np.ndarray[Any, Any]
    bands: str = f"{BANDS} x {ROWS}"


def own_cpu_seconds() -> float:
    """User and system seconds of this process and of the children it has waited for."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Clock:
    """CPU seconds by stage, measured by `now`. Work outside of all stages is not counted."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = own_cpu_seconds
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the CPU seconds of the `with` block to a stage."""
        start = self.now()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - start


def texts(corpus: Path) -> list[str]:
    with open(corpus, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def main(work: Callable[[Job, Clock], Found]) -> None:
    """Parse the command line, run `work`, and write its answer."""
    options = argparse.ArgumentParser()
    options.add_argument("corpus", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--threshold", type=float, required=True)
    options.add_argument("--setting", default="")
    given = options.parse_args()
    scratch = given.out / "scratch"
    scratch.mkdir(parents=True)
    clock = Clock()
    found = work(Job(given.corpus.resolve(), scratch, given.threshold, given.setting), clock)
    np.save(given.out / "answer.npy", found.values)
    result = {
        "kind": found.kind,
        "threshold": given.threshold,
        "bands": found.bands,
        "seconds": clock.seconds,
    }
    (given.out / "result.json").write_text(json.dumps(result))
