"""FastSketchLSH: signatures in batches, then one call that flags duplicates."""

from __future__ import annotations

import numpy as np
from FastSketchLSH import LSH, FastSimilaritySketch

from benchmarks.peers.driver import BANDS, BATCH, PERMUTATIONS, Clock, Found, Job, main, texts
from benchmarks.peers.grams import grams


def work(job: Job, clock: Clock) -> Found:
    sketch = FastSimilaritySketch(size=PERMUTATIONS, seed=42)
    index = LSH(num_perm=PERMUTATIONS, num_bands=BANDS, num_threads=1)
    documents = texts(job.corpus)
    signatures = []
    for start in range(0, len(documents), BATCH):
        with clock.stage("5-grams"):
            sets = [grams(text) for text in documents[start : start + BATCH]]
        with clock.stage("sketch"):
            signatures.append(np.asarray(sketch.batch(sets, num_threads=1)))
    with clock.stage("flag"):
        flags = index.insert_and_query_duplicates(np.concatenate(signatures))
    return Found("flags", np.asarray(flags).astype(bool))


if __name__ == "__main__":
    main(work)
