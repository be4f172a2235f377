"""The search for each record's nearest records: CPU time beside faiss.

    python -m benchmarks.density [--rows 100000] [--width 384] [--k 100]

Vectors around random directions, in clusters by k-means of faiss; then the phase of the step
`cluster` that measures density, beside faiss' search in the same number of clusters (IndexIVFFlat
in float32). Both on one thread.
"""

from __future__ import annotations

import argparse
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # numpy reads them when it is imported

import tempfile  # noqa: E402
from typing import NamedTuple  # noqa: E402

import faiss  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from clustering.density import SEARCHED, DensityOfBin, clusters_around  # noqa: E402
from clustering.kmeans.assign import vector_schema  # noqa: E402
from clustering.kmeans.bins import Bin, plan_bins  # noqa: E402
from clustering.kmeans.cluster_files import ClusterFiles  # noqa: E402
from clustering.kmeans.vectors import halves  # noqa: E402
from manifests.storage import parts  # noqa: E402

NEIGHBOURS, MODES = 10, 2000


class Made(NamedTuple):
    """Unit vectors (n, width) float16 sorted by cluster, and the unit centroids."""

    vectors: np.ndarray
    clusters: np.ndarray
    centroids: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def make(rows: int, width: int, k: int) -> Made:
    draw = np.random.default_rng(0)
    modes = unit(draw.standard_normal((MODES, width))).astype(np.float32)
    chosen = (MODES * draw.random(rows) ** 2).astype(int)  # some modes are rare
    noise = draw.standard_normal((rows, width)).astype(np.float32) / np.sqrt(width)
    vectors = unit(modes[chosen] + noise).astype(np.float32)
    means = faiss.Kmeans(width, k, niter=10, seed=1, spherical=True)
    means.train(vectors)
    index = faiss.IndexFlatIP(width)
    assert means.centroids is not None
    index.add(means.centroids)
    clusters = index.search(vectors, 1)[1][:, 0]
    order = np.argsort(clusters, kind="stable")
    return Made(vectors[order].astype(np.float16), clusters[order], unit(means.centroids))


def write(made: Made, folder: str) -> ClusterFiles:
    """Writes cluster files as the step `cluster` does."""
    width, sizes = made.vectors.shape[1], np.bincount(made.clusters, minlength=len(made.centroids))
    bins = plan_bins(sizes, 2 * width + 28)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    schema = vector_schema(width).append(pa.field("part", pa.int32())).remove(0)
    for one in bins:
        with parts.writing(f"{folder}/{one.name}.arrow", schema, durable=False) as file:
            for cluster in range(one.first, one.end):
                file.write(pa.table(_columns(made, starts, cluster, one), schema=schema))
    return ClusterFiles(folder, bins, sizes.astype(np.int64), width)


def _columns(made: Made, starts: np.ndarray, cluster: int, one: Bin) -> dict[str, pa.Array]:
    size = int(starts[cluster + 1] - starts[cluster])
    slices = [starts[cluster] + size * n // one.slices for n in (one.slice, one.slice + 1)]
    rows = np.arange(*slices)
    return {
        "key": pa.array(rows.astype(np.uint64)), "row": pa.array(rows.astype(np.int32)),
        "distance": pa.array(np.zeros(len(rows), np.float32)),
        "label": pa.array(np.zeros(len(rows), np.uint64)),
        "vector": halves(made.vectors[rows]), "part": pa.array(np.zeros(len(rows), np.int32)),
    }  # fmt: skip


def by_faiss(made: Made) -> None:
    """The same search by faiss, in float32."""
    width = made.vectors.shape[1]
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFFlat(quantizer, width, len(made.centroids), faiss.METRIC_INNER_PRODUCT)
    quantizer.add(made.centroids)
    index.is_trained = True
    index.nprobe = SEARCHED
    vectors = made.vectors.astype(np.float32)
    index.add(vectors)
    index.search(vectors, NEIGHBOURS + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, usual in (("--rows", 100_000), ("--width", 384), ("--k", 100)):
        parser.add_argument(option, type=int, default=usual)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    made = make(options.rows, options.width, options.k)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        files = write(made, folder)
        start = time.process_time()
        centroids = made.centroids.astype(np.float16)
        around = clusters_around(centroids, files.sizes, NEIGHBOURS)
        work = DensityOfBin(files, centroids, around, NEIGHBOURS)
        for one in files.bins:
            work(one, out)
        ours = time.process_time() - start
    start = time.process_time()
    by_faiss(made)
    theirs = time.process_time() - start
    print(f"{options.rows:,} x {options.width}, {options.k} clusters: "
          f"{1e6 * ours / options.rows:.0f} us of CPU per record, faiss "
          f"{1e6 * theirs / options.rows:.0f} us")  # fmt: skip


if __name__ == "__main__":
    main()
