"""rensa: one matrix of signatures, then one call that flags duplicates.

Settings: none, a sketch of all 5-grams; `rho`, a sketch of 5-grams sampled by position.
"""

from __future__ import annotations

import numpy as np
from rensa import RMinHash, RMinHashLSH

from benchmarks.peers.driver import BANDS, PERMUTATIONS, Clock, Found, Job, main, texts
from benchmarks.peers.grams import grams


def work(job: Job, clock: Clock) -> Found:
    sketch = (
        RMinHash.digest_matrix_from_token_sets_rho
        if job.setting == "rho"
        else RMinHash.digest_matrix_from_token_sets
    )
    index = RMinHashLSH(threshold=job.threshold, num_perm=PERMUTATIONS, num_bands=BANDS)
    documents = texts(job.corpus)
    with clock.stage(
        "5-grams and sketch"
    ):  # it takes the sets one by one, so the two cannot be timed apart
        signatures = sketch((grams(text) for text in documents), num_perm=PERMUTATIONS, seed=42)
    with clock.stage("flag"):
        flags = index.query_duplicate_flags_matrix_one_shot(signatures)
    return Found("flags", np.array(flags, bool))


if __name__ == "__main__":
    main(work)
