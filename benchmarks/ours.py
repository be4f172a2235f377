"""Our near-duplicates of a table in memory, as a driver that runs beside the peers' own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from benchmarks.corpus_step import run_step, write_parts
from benchmarks.peers.driver import Clock, Found, Job, main
from filters.duplicates.duplicates import Duplicates


def near_duplicates(table: pa.Table, threshold: float) -> tuple[NDArray[np.int64], float]:
    """A cluster label for each row of the column `text`, and the CPU seconds that took.

    Imports, the loading of compiled kernels and tables, and the writing of the texts as parts are
    not timed; the corpus step is, with all files it writes. Words are split at whitespace, as in
    the truth.
    """
    from manifests.kernels import grouping, jaccard, minhash, shingles, union_find

    assert all((grouping, jaccard, minhash, union_find))
    shingles.text_hashes(pa.array(["the tables of Unicode are made now"]))
    settings = {"by": "minhash", "tokens": "whitespace", "threshold": threshold}
    with tempfile.TemporaryDirectory() as folder:
        views = write_parts(table["text"].combine_chunks(), Path(folder))
        made = run_step(views, "duplicates", settings)
    return made.label, made.cpu_seconds


def work(job: Job, clock: Clock) -> Found:
    blocks = pyarrow.json.ReadOptions(block_size=64 << 20, use_threads=False)
    table = pyarrow.json.read_json(job.corpus, read_options=blocks)
    labels, clock.seconds["all"] = near_duplicates(table, job.threshold)
    step = Duplicates.model_validate({"by": "minhash", "threshold": job.threshold})
    return Found("clusters", labels, f"{step.bands} x {step.rows}")


if __name__ == "__main__":
    main(work)
