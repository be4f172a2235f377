"""gaoya: an index of texts that computes words, 5-grams and signatures itself.

A look-up returns the documents whose signatures agree in at least the threshold's share of values.
"""

from __future__ import annotations

from gaoya.minhash import MinHashStringIndex

from benchmarks.peers.driver import BANDS, BATCH, ROWS, Clock, Found, Job, main, texts
from benchmarks.peers.grams import clusters


def work(job: Job, clock: Clock) -> Found:
    index = MinHashStringIndex(
        hash_size=32,
        jaccard_threshold=job.threshold,
        num_bands=BANDS,
        band_size=ROWS,
        analyzer="word",
        lowercase=True,
        ngram_range=(5, 5),
        id_container="smallvec",
    )
    documents = texts(job.corpus)
    numbers = list(range(len(documents)))
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(documents), BATCH):
        batch = slice(start, start + BATCH)
        with clock.stage("index"):
            index.par_bulk_insert_docs(numbers[batch], documents[batch])
    for start in range(0, len(documents), BATCH):
        with clock.stage("look up"):
            found = index.par_bulk_query(documents[start : start + BATCH])
        pairs += [(start + at, other) for at, others in enumerate(found) for other in others]
    return Found("clusters", clusters(pairs, len(documents)))


if __name__ == "__main__":
    main(work)
