"""Complete runs with near-duplicate text: the cost of the step inline and on Ray, by corpus size.

    python -m benchmarks.duplicates_run [--documents 100000 1000000] [--folder DIR]

The command line runs each corpus of `benchmarks.planted` with `duplicates: {by: minhash}` and
without it. The difference is the cost of the step, with its files, its shuffle and Ray's overhead.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks import planted
from benchmarks.measure import Cost, cost

EXECUTORS = {"inline": ["--inline"], "ray": ["--workers", "2"]}


class Measured(NamedTuple):
    """CPU seconds of the step; memory of the run's largest process and largest Ray worker."""

    cpu_seconds: float
    peak_mb: float
    worker_peak_mb: float


def corpus(folder: Path, documents: int) -> Path:
    """The planted corpus; made only if the folder does not have it."""
    place = folder / f"planted-{documents}"
    if not (place / "truth.parquet").exists():
        planted.write(place, documents, 17)
    return place / "corpus.jsonl"


def run(folder: Path, source: Path, executor: str, step: bool) -> Cost:
    """The cost of one run by the command line, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as base:
        steps = [{"duplicates": {"by": "minhash"}}] if step else []
        lines = {"name": "lines", "reader": "table", "path": str(source), "text": "text"}
        recipe = {"name": "benchmark", "sources": [lines], "steps": steps}
        (Path(base) / "recipe.yaml").write_text(json.dumps(recipe))
        command = [
            sys.executable,
            "-m",
            "curate",
            "run",
            "recipe.yaml",
            "-o",
            "out",
            *EXECUTORS[executor],
        ]
        return cost(command, base)


def measured(folder: Path, documents: int, executor: str) -> Measured:
    """The cost of the step: that of a run with it minus that of a run without it."""
    source = corpus(folder, documents)
    without, with_step = (run(folder, source, executor, step) for step in (False, True))
    cpu_seconds = with_step.cpu_seconds - without.cpu_seconds
    return Measured(cpu_seconds, with_step.peak_mb, with_step.worker_peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        print("documents  executor  us/doc  docs/CPU-s  largest MB  worker MB")
        for documents in options.documents:
            for executor in EXECUTORS:
                cost_of_step = measured(folder, documents, executor)
                micro = cost_of_step.cpu_seconds / documents * 1e6
                print(
                    f"{documents:>9}  {executor:<8} {micro:>7.1f}  {1e6 / micro:>10,.0f}"
                    f"  {cost_of_step.peak_mb:>10,.0f}  {cost_of_step.worker_peak_mb:>9,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
