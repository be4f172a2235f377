"""Similar embeddings within a cluster: pairs per second, and pairs that clusters miss.

    python -m benchmarks.semantic [--rounds 3]

First, on one thread: the tiles of `duplicates: {by: semantic}`, the algorithm of NeMo Curator's
semantic stage (a cluster times blocks of itself, then the upper triangle, then the maximum of each
column), and faiss' exact search for the two nearest. Then, for pairs of a given cosine: the share
of pairs with the same nearest cluster, and with one of their two nearest in common.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # numpy reads them when it is imported

import numpy as np  # noqa: E402

from filters.duplicates.kinds.contract import Entries  # noqa: E402
from filters.duplicates.kinds.semantic import Semantic  # noqa: E402

DIMENSIONS, THRESHOLD = 384, 0.95


def unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / lengths, np.float32)


def cluster(rows: int, random: np.random.Generator) -> np.ndarray:
    """Vectors of one broad cluster; every twentieth has a near copy."""
    vectors = unit(random.standard_normal((rows, DIMENSIONS)) + 0.2)
    copies = rows // 20
    near = vectors[:copies] + 0.01 * random.standard_normal((copies, DIMENSIONS))
    vectors[rows // 2 : rows // 2 + copies] = unit(near)
    return vectors


def tiles(vectors: np.ndarray) -> int:
    """The number of near pairs, found by ours."""
    kind = Semantic(THRESHOLD, "embedding", None, DIMENSIONS)
    payload = vectors.astype(np.float16).view(np.uint64)
    one_key = np.zeros(len(vectors), np.uint64)
    return len(kind.candidates(Entries(one_key, one_key, payload)).pairs)


def blocks_of_all(vectors: np.ndarray, block: int = 1024) -> int:
    """The number of near pairs as NeMo Curator finds them (semantic/pairwise.py), in numpy."""
    greatest = np.zeros(len(vectors), np.float32)
    for start in range(0, len(vectors), block):
        # A copy: numpy computes half of a product of rows with themselves, but torch computes all.
        some = vectors[start : start + block].copy()
        cosine = np.triu(vectors @ some.T, k=1 - start)
        greatest[start : start + block] = cosine.max(axis=0)
    return int((greatest >= THRESHOLD).sum())


def faiss_search(vectors: np.ndarray) -> int:
    """The number of near pairs by faiss' exact search; right if no vector has two near ones."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(vectors)
    cosine, _ = index.search(vectors, 2)
    return int((cosine[:, 1] >= THRESHOLD).sum()) // 2


WORKS = (tiles, blocks_of_all, faiss_search)


def cheapest(vectors: np.ndarray, rounds: int) -> list[float]:
    """CPU seconds of ours, of blocks and of faiss: the cheapest of some rounds, in which they take
    turns."""
    times = [[_seconds(work, vectors) for work in WORKS] for _ in range(rounds)]
    found: list[float] = np.min(times, axis=0).tolist()
    return found


def _seconds(work: Callable[[np.ndarray], int], vectors: np.ndarray) -> float:
    start = time.process_time()
    work(vectors)
    return time.process_time() - start


def throughput(rounds: int, random: np.random.Generator) -> None:
    """Print how many pairs each algorithm compares in a CPU second."""
    print(f"million pairs of {DIMENSIONS} dimensions per CPU second")
    print(f"{'cluster':>8} {'ours':>8} {'blocks':>8} {'faiss':>8} {'ours / blocks':>14}")
    for rows in (1000, 4000, 16000):
        vectors = cluster(rows, random)
        assert {work(vectors) for work in WORKS} == {rows // 20}
        pairs = rows * (rows - 1) / 2 / 1e6
        rates = [pairs / seconds for seconds in cheapest(vectors, rounds * 16000 // rows)]
        shown = " ".join(f"{rate:>8.1f}" for rate in rates)
        print(f"{rows:>8} {shown} {rates[0] / rates[1]:>14.2f}", flush=True)


def borders(random: np.random.Generator) -> None:
    """Print the share of near pairs with a cluster in common.

    It is the worst case: the embeddings have no structure finer than the clusters.
    """
    import faiss

    modes = unit(random.standard_normal((20, DIMENSIONS)))
    spread = 1.2 / np.sqrt(DIMENSIONS) * random.standard_normal((50_000, DIMENSIONS))
    vectors = unit(modes[random.integers(0, 20, 50_000)] + spread)
    means = faiss.Kmeans(DIMENSIONS, 500, niter=10, seed=1, spherical=True)
    means.train(vectors)
    assert means.centroids is not None
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(unit(np.asarray(means.centroids)))
    some = vectors[:10_000]
    print("\nshare of pairs with a cluster in common: one nearest each, two nearest each")
    for cosine in (0.99, 0.97, 0.95, 0.92, 0.90):
        aside = random.standard_normal(some.shape)
        aside = unit(aside - (aside * some).sum(axis=1, keepdims=True) * some)
        others = unit(cosine * some + np.sqrt(1 - cosine**2) * aside)
        first, second = (index.search(v, 2)[1] for v in (some, others))
        one = (first[:, 0] == second[:, 0]).mean()
        two = (first[:, :, None] == second[:, None, :]).any(axis=(1, 2)).mean()
        print(f"cosine {cosine:.2f}   {one:.3f}   {two:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds, random = parser.parse_args().rounds, np.random.default_rng(0)
    throughput(rounds, random)
    borders(random)


if __name__ == "__main__":
    main()
