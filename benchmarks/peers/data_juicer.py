"""Data-Juicer: its MinHash operator on a loaded data set; the answer is what it removes.

Settings: none, in one process; `ray`, on Ray with two CPUs. Both process 100 documents first, so
that imports are not timed. Loading is not timed either.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.driver import BANDS, PERMUTATIONS, ROWS, Clock, Found, Job, main, texts
from benchmarks.peers.processes import Processes

WARM_UP = 100
Run = Callable[[Path, Clock], list[int]]


def _options(job: Job, corpus: Path) -> dict[str, Any]:
    return {
        "tokenization": "space",
        "window_size": 5,
        "lowercase": True,
        "num_permutations": PERMUTATIONS,
        "jaccard_threshold": job.threshold,
        "num_bands": BANDS,
        "num_rows_per_band": ROWS,
        "work_dir": str(job.scratch / corpus.stem),  # on Ray it reads back all files in it
    }


def in_one_process(job: Job) -> Run:
    import datasets
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.deduplicator import document_minhash_deduplicator as module

    def run(corpus: Path, clock: Clock) -> list[int]:
        loaded = datasets.load_dataset("json", data_files=str(corpus), split="train")
        operator = module.DocumentMinhashDeduplicator(num_proc=1, **_options(job, corpus))
        with clock.stage("run"):
            return list(operator.run(NestedDataset(loaded))["id"])

    return run


def on_ray(job: Job) -> Run:
    import ray
    from data_juicer.ops.deduplicator import ray_bts_minhash_deduplicator as module

    ray.init(num_cpus=2, include_dashboard=False)

    def run(corpus: Path, clock: Clock) -> list[int]:
        documents = ray.data.read_json(str(corpus)).materialize()
        operator = module.RayBTSMinhashDeduplicator(**_options(job, corpus))
        with clock.stage("run"):
            return [row["id"] for row in operator.run(documents).select_columns(["id"]).take_all()]

    return run


def work(job: Job, clock: Clock) -> Found:
    # Read when they are imported. Ray's newer reader starts a pool of actors for one Parquet file.
    os.environ |= {"HF_HOME": str(job.scratch), "HF_HUB_OFFLINE": "1"}
    os.environ |= {"RAY_DATA_USE_DATASOURCE_V2": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    if job.setting == "ray":
        clock.now = Processes().cpu_seconds
    run = on_ray(job) if job.setting == "ray" else in_one_process(job)
    few = job.scratch / "few.jsonl"
    with open(job.corpus) as lines:
        few.write_text("".join(islice(lines, WARM_UP)))
    run(few, Clock())
    kept = run(job.corpus, clock)
    removed = np.ones(len(texts(job.corpus)), bool)
    removed[kept] = False
    return Found("removed", removed)


if __name__ == "__main__":
    main(work)
