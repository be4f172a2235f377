"""datasketch: MinHash in bulk, then an LSH index; every document is inserted and looked up.

Settings: none, its default hash SHA-1; `xxhash`, xxh32, which its documentation recommends for
speed; `own bands`, those that its index chooses for the threshold.
"""

from __future__ import annotations

from datasketch import MinHash, MinHashLSH

from benchmarks.peers.driver import BANDS, BATCH, PERMUTATIONS, ROWS, Clock, Found, Job, main, texts
from benchmarks.peers.grams import clusters, grams


def work(job: Job, clock: Clock) -> Found:
    options: dict[str, object] = {"num_perm": PERMUTATIONS}
    if job.setting == "xxhash":
        import xxhash

        options["hashfunc"] = xxhash.xxh32_intdigest
    index = (
        MinHashLSH(threshold=job.threshold, num_perm=PERMUTATIONS)
        if job.setting == "own bands"
        else MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    )
    documents = texts(job.corpus)
    sketches: list[MinHash] = []
    for start in range(0, len(documents), BATCH):
        with clock.stage("5-grams"):
            sets = [[gram.encode() for gram in grams(t)] for t in documents[start : start + BATCH]]
        with clock.stage("sketch"):
            sketches += MinHash.bulk(sets, **options)
    with clock.stage("index"):
        for at, sketch in enumerate(sketches):
            index.insert(at, sketch, check_duplication=False)
    with clock.stage("look up"):
        pairs = [(at, hit) for at, sketch in enumerate(sketches) for hit in index.query(sketch)]
    return Found("clusters", clusters(pairs, len(documents)), f"{index.b} x {index.r}")


if __name__ == "__main__":
    main(work)
