"""datatrove: the three MinHash stages of its pipeline, with words split at whitespace.

Its own word tokenizer is spaCy's, which is slower. It has no threshold, only bands: with its
default, 14 bands of 8 rows, 92 % of the pairs with a similarity of 0.8 become candidates. It
verifies nothing.
"""

from __future__ import annotations

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupSignature,
)
from datatrove.utils.word_tokenizers import WordTokenizer
from loguru import logger

from benchmarks.peers.driver import Clock, Found, Job, main, texts


class Whitespace(WordTokenizer):
    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def work(job: Job, clock: Clock) -> Found:
    logger.remove()
    config = MinhashConfig()
    signatures, buckets, clusters = (str(job.scratch / name) for name in ("sig", "buckets", "out"))
    documents = [Document(text=text, id=str(at)) for at, text in enumerate(texts(job.corpus))]
    sign = MinhashDedupSignature(signatures, config, language=Whitespace())
    match = MinhashDedupBuckets(signatures, buckets, config=config)
    join = MinhashDedupCluster(buckets, clusters, config=config, save_cluster_id=True)
    with clock.stage("sketch"):
        sign.run(iter(documents), 0, 1)
    with clock.stage("buckets"):
        for bucket in range(config.num_buckets):
            match.run(None, bucket, config.num_buckets)
    with clock.stage("cluster"):
        join.run(None, 0, 1)
    rows = np.fromfile(f"{clusters}/000000.clusters", np.uint32).reshape(-1, 2)  # document, cluster
    labels = np.arange(len(documents)) + len(documents)
    labels[rows[:, 0]] = rows[:, 1]
    return Found("clusters", labels, f"{config.num_buckets} x {config.hashes_per_bucket}")


if __name__ == "__main__":
    main(work)
