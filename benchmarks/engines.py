"""Engines that find near-duplicate text, ours and peers, each run in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.measure import cost
from benchmarks.quality import Answer

ROOT = Path(__file__).resolve().parents[1]
OURS = "curate"
# So that every library computes in one thread: read from the environment when it is imported.
_LIBRARIES = ("OMP", "OPENBLAS", "RAYON")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in _LIBRARIES} | {"POLARS_MAX_THREADS": "1"}
_VERSION = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"


class Engine(NamedTuple):
    """A driver (see `benchmarks.peers.driver`), the package it drives, and a variant of it."""

    module: str
    package: str
    setting: str = ""

    @property
    def environment(self) -> str:
        """What the option `--python` calls it: one environment for all variants."""
        return self.module.rpartition(".")[2].replace("_", "-")


ENGINES = {
    OURS: Engine("benchmarks.ours", "curate"),
    "datasketch": Engine("benchmarks.peers.datasketch", "datasketch"),
    "datasketch-own-bands": Engine("benchmarks.peers.datasketch", "datasketch", "own bands"),
    "datasketch-xxhash": Engine("benchmarks.peers.datasketch", "datasketch", "xxhash"),
    "rensa": Engine("benchmarks.peers.rensa", "rensa"),
    "rensa-rho": Engine("benchmarks.peers.rensa", "rensa", "rho"),
    "fastsketchlsh": Engine("benchmarks.peers.fastsketchlsh", "FastSketchLSH"),
    "gaoya": Engine("benchmarks.peers.gaoya", "gaoya"),
    "datatrove": Engine("benchmarks.peers.datatrove", "datatrove"),
    "text-dedup": Engine("benchmarks.peers.text_dedup", "text-dedup"),
    "data-juicer": Engine("benchmarks.peers.data_juicer", "py-data-juicer"),
    "data-juicer-ray": Engine("benchmarks.peers.data_juicer", "py-data-juicer", "ray"),
}


class Run(NamedTuple):
    """One run of an engine.

    `seconds`: CPU seconds of the timed part by stage. `other_seconds`: of all else, that is
    start-up, imports and reading. `peak_mb`: of the largest process.
    """

    answer: Answer
    bands: str
    seconds: dict[str, float]
    other_seconds: float
    peak_mb: float

    @property
    def cpu_seconds(self) -> float:
        return sum(self.seconds.values())


def version(engine: Engine, python: str) -> str | None:
    """The version of its package in an environment, or None where that does not have it."""
    asked = subprocess.run(
        [python, "-c", _VERSION, engine.package], capture_output=True, text=True, cwd=ROOT
    )
    if asked.returncode and "PackageNotFoundError" not in asked.stderr:
        raise RuntimeError(f"{python} does not run:\n{asked.stderr[-2000:]}")
    return asked.stdout.strip() or None


def run(engine: Engine, python: str, corpus: Path, threshold: float, out: Path) -> Run:
    """Run an engine on a corpus; `out` is an empty folder's name, and gone afterwards."""
    command = [python, "-m", engine.module, str(corpus), str(out), "--threshold", str(threshold)]
    try:
        known = cost([*command, "--setting", engine.setting], ROOT)
        result = json.loads((out / "result.json").read_text())
        answer = Answer(result["kind"], np.load(out / "answer.npy"))
    finally:
        shutil.rmtree(out, ignore_errors=True)
    if result["threshold"] != threshold:
        raise RuntimeError(
            f"{engine} answered for threshold {result['threshold']}, not {threshold}"
        )
    other = max(0.0, known.cpu_seconds - sum(result["seconds"].values()))
    return Run(answer, result["bands"], result["seconds"], other, known.peak_mb)
