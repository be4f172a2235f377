"""text-dedup: the stages of its MinHash command, with candidates verified by exact Jaccard.

Verification is off by default, but then version 0.4.1 removes all documents of a cluster, also the
one to keep. One process; loading the file, removal and writing the result are not timed.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.peers.driver import BANDS, PERMUTATIONS, ROWS, Clock, Found, Job, main


def _config(job: Job) -> Path:
    path = job.scratch / "config.toml"
    path.write_text(
        f"""
[input]
input_type = "local_files"
file_type = "json"
read_arguments = {{ path = "json", data_files = "{job.corpus}", split = "train" }}
[algorithm]
algorithm_name = "minhash"
text_column = "text"
num_proc = 1
num_perm = {PERMUTATIONS}
bands = {BANDS}
rows = {ROWS}
ngram_size = 5
threshold = {job.threshold}
check_false_positive = true
[output]
output_dir = "{job.scratch / "out"}"
[debug]
"""
    )
    return path


def work(job: Job, clock: Clock) -> Found:
    os.environ |= {
        "HF_HOME": str(job.scratch),
        "HF_HUB_OFFLINE": "1",
    }  # read on import
    from text_dedup import minhash
    from text_dedup.config.base import load_config_from_toml
    from text_dedup.data_sources.io import load_dataset

    config = load_config_from_toml(_config(job))
    algorithm = config.algorithm
    documents = load_dataset(config)
    with clock.stage("long enough"):
        long_enough = documents.filter(
            algorithm.get_filtering_func(), input_columns=[algorithm.text_column], num_proc=1
        )
    with clock.stage("sketch"):
        bands = minhash.fingerprint(config, long_enough)
    with clock.stage("cluster"):
        candidates = minhash.cluster(config, bands)
        assigned = minhash.assign(config, long_enough, candidates)
    with clock.stage("verify"):
        _, verified = minhash.check_false_positives(config, assigned)
    labels = np.arange(len(documents)) + len(documents)
    labels[list(verified)] = list(verified.values())
    return Found("clusters", labels)


if __name__ == "__main__":
    main(work)
