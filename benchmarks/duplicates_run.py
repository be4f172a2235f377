"""Whole runs with near-duplicate text: what the step costs inline and on Ray, and how it grows.

    python -m benchmarks.duplicates_run [--documents 100000 1000000] [--folder DIR]

Each corpus of `benchmarks.planted` is run by the command line with `duplicates: {by: minhash}` and
without. The difference is the step: its files, the shuffle, and what Ray spends on it included.
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

HOW = {"inline": ["--inline"], "ray": ["--workers", "2"]}


class Measured(NamedTuple):
    """The step's CPU seconds, and the run's largest process and largest Ray worker, in MB."""

    cpu_seconds: float
    peak_mb: float
    worker_peak_mb: float


def corpus(folder: Path, documents: int) -> Path:
    place = folder / f"planted-{documents}"
    if not (place / "truth.parquet").exists():
        planted.write(place, documents, 17)
    return place / "corpus.jsonl"


def run(folder: Path, source: Path, how: str, step: bool) -> Cost:
    """One run by the command line, in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as base:
        steps = [{"duplicates": {"by": "minhash"}}] if step else []
        made = {"name": "lines", "reader": "table", "path": str(source), "text": "text"}
        recipe = {"name": "benchmark", "sources": [made], "steps": steps}
        (Path(base) / "recipe.yaml").write_text(json.dumps(recipe))
        command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", *HOW[how]]
        return cost(command, base)


def measured(folder: Path, documents: int, how: str) -> Measured:
    source = corpus(folder, documents)
    bare, whole = (run(folder, source, how, step) for step in (False, True))
    return Measured(whole.cpu_seconds - bare.cpu_seconds, whole.peak_mb, whole.worker_peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        print("documents  how     us/doc  docs/CPU-s  largest MB  worker MB")
        for documents in options.documents:
            for how in HOW:
                said = measured(folder, documents, how)
                micro = said.cpu_seconds / documents * 1e6
                print(
                    f"{documents:>9}  {how:<6} {micro:>7.1f}  {1e6 / micro:>10,.0f}"
                    f"  {said.peak_mb:>10,.0f}  {said.worker_peak_mb:>9,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
