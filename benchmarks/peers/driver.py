"""What the drivers of the peers share: their command line, the texts, and CPU seconds by stage.

    python -m benchmarks.peers.NAME CORPUS OUT --threshold 0.8 [--setting SETTING]

A driver runs in the interpreter that has its peer: it may import the standard library, numpy and
the peer. `CORPUS` is JSON lines with `id` and `text`. Into the folder `OUT` go `answer.npy`, one
value a document (see `benchmarks.quality.Answer`), and `told.json`: what the values are, the
threshold, the bands, and the CPU seconds of each stage.
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

# Given to every peer that lets its caller choose. 16 bands of 8 make a candidate of 95 % of the
# pairs at 0.8 and of 61 % at 0.7: more recall than the bands that most would choose themselves.
PERMUTATIONS, BANDS, ROWS = 128, 16, 8
BATCH = 1000


class Job(NamedTuple):
    """`scratch` is an empty folder; `setting` tells the variants of one driver apart."""

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
    """CPU seconds by stage, as `now` tells them; what is outside every stage is not timed."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = own_cpu_seconds
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = self.now()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + self.now() - start


def texts(corpus: Path) -> list[str]:
    with open(corpus, encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def main(work: Callable[[Job, Clock], Found]) -> None:
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
    told = {
        "kind": found.kind,
        "threshold": given.threshold,
        "bands": found.bands,
        "seconds": clock.seconds,
    }
    (given.out / "told.json").write_text(json.dumps(told))
