"""Clusters of made-up embeddings: ours and faiss on the same vectors, and memory for large corpora.

    python -m benchmarks.kmeans [--only inertia speed memory] [--large-rows 10000000]

inertia: the sum of squared distances to the centroids, fitted on the same vectors by both, with the
same number of rounds. speed: CPU seconds on one thread to find the two nearest of all centroids,
the cheapest of some rounds. memory: the step on a corpus on disk, in one process of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # numpy reads them when it is imported

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from benchmarks.corpus_step import write_sidecars  # noqa: E402
from benchmarks.measure import cost  # noqa: E402
from clustering.kmeans import lloyd, vectors  # noqa: E402
from clustering.kmeans.fit import fit_sample  # noqa: E402
from clustering.kmeans.nearest import CellCentroids, Centroids  # noqa: E402
from clustering.kmeans.sample import SHARD_ROWS, Sample, Shard  # noqa: E402
from curate.engine.inline import Inline  # noqa: E402
from curate.engine.part_view import PartView  # noqa: E402
from curate.engine.progress import Progress  # noqa: E402
from curate.engine.workspace import Workspace  # noqa: E402
from manifests import record, storage  # noqa: E402
from manifests.storage import parts  # noqa: E402
from manifests.vectors.units import units_of  # noqa: E402

PART_ROWS = 40_000
MODES = 3000


def mixture(rows: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """Unit vectors (n, width) float32 around 3,000 directions of unequal frequency, in blocks."""
    random = np.random.default_rng(0)
    centres = units_of(random.standard_normal((MODES, width), dtype=np.float32)).vectors
    shares = 1 / np.arange(1, MODES + 1) ** 0.7
    random = np.random.default_rng(seed)
    for start in range(0, rows, PART_ROWS):
        count = min(PART_ROWS, rows - start)
        noise = random.standard_normal((count, width), dtype=np.float32)
        modes = random.choice(MODES, count, p=shares / shares.sum())
        yield units_of(centres[modes] + 0.7 / np.sqrt(width) * noise).vectors


def inertia(found: np.ndarray, centroids: np.ndarray) -> float:
    """The sum of squared distances of unit vectors to their nearest centroids, exact for both."""
    _, cosines = Centroids(units_of(centroids).vectors).nearest(found, 1)
    return float((2 - 2 * cosines.astype(np.float64)).sum())


def ours(found: np.ndarray, clusters: int, rounds: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(folder, "", folder, Inline(), Progress(quiet=True), "")
        storage.make_folder(space.scratch)
        shards = -(-len(found) // SHARD_ROWS)
        cuts = np.array_split(np.arange(len(found)), shards)
        sample = Sample(folder, tuple(map(len, cuts)), found.shape[1])
        for number, rows in enumerate(cuts):
            table = pa.table({"vector": vectors.halves(found[rows])})
            parts.write(f"{folder}/{Shard(number).name}.arrow", table.schema, [table])
        return fit_sample(sample, clusters, rounds, 1, space).centroids


def by_faiss(found: np.ndarray, clusters: int, rounds: int) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(1)
    means = faiss.Kmeans(
        found.shape[1], clusters, niter=rounds, seed=1, spherical=True,
        max_points_per_centroid=10**9, min_points_per_centroid=1,
    )  # fmt: skip
    means.train(found)
    assert means.centroids is not None
    return means.centroids


def compare_inertia() -> None:
    print("inertia and CPU seconds of a fit on the same vectors, one thread")
    for clusters, rows, width, rounds in ((1000, 256_000, 384, 25), (10_000, 400_000, 64, 10)):
        found = np.concatenate(list(mixture(rows, width, 1)))
        results = []
        for fit in (ours, by_faiss):
            start = time.process_time()
            centroids = fit(found, clusters, rounds)
            results.append((inertia(found, centroids), time.process_time() - start))
        (one, one_s), (other, other_s) = results
        what = f"{rows:,} x {width}, k = {clusters:,}, {rounds} rounds"
        both = f"ours {one:,.1f} ({one_s:.0f} s), faiss {other:,.1f} ({other_s:.0f} s)"
        print(f"{what}: {both}, ours / faiss {one / other:.4f}", flush=True)


def compare_speed(rounds: int = 5) -> None:
    import faiss

    faiss.omp_set_num_threads(1)
    print("CPU seconds to find the nearest centroids of 40,000 x 384 vectors, one thread")
    found = next(mixture(PART_ROWS, 384, 2))
    for clusters in (1000, 10_000):
        centroids = next(mixture(clusters, 384, 3))
        index = faiss.IndexFlatIP(384)
        index.add(centroids)
        search = Centroids(centroids)
        works: list[Callable[[], object]] = [
            partial(search.nearest, found, 2),
            partial(index.search, found, 2),
            partial(index.search, found, 1),
        ]
        times = [[_seconds(work) for work in works] for _ in range(rounds)]
        mine, two, one = np.min(times, axis=0)
        print(
            f"k = {clusters:,}: ours (two nearest) {mine:.2f}, faiss (two) {two:.2f}, faiss (one) "
            f"{one:.2f}, ours / faiss {mine / two:.3f}",
            flush=True,
        )


def compare_cells() -> None:
    """Prints how much faster it is to search in cells, and how often the nearest is found."""
    found, clusters, cells = next(mixture(8000, 384, 2)), 100_000, 316
    some = np.concatenate(list(mixture(clusters, 384, 3)))
    centres = lloyd.fit(some[:40_000], cells, 5, [1]).centroids
    of_cell = Centroids(centres).nearest(some, 1)[0][:, 0]
    centroids, of_cell = some[np.argsort(of_cell, kind="stable")], np.sort(of_cell)
    times, numbers = [], []
    for search in (Centroids(centroids), CellCentroids(centroids, centres, of_cell, 8)):
        start = time.process_time()
        numbers.append(search.nearest(found, 2)[0][:, 0])
        times.append(time.process_time() - start)
    same = float((numbers[0] == numbers[1]).mean())
    print(
        f"{len(found):,} x 384, k = {clusters:,}: {times[0]:.2f}; in the 8 nearest of {cells} "
        f"cells {times[1]:.2f}, the same nearest for {same:.1%}",
        flush=True,
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def write_corpus(folder: Path, rows: int, width: int) -> list[PartView]:
    """Writes embeddings, block by block, as the parts of a corpus."""
    views = []
    for number, block in enumerate(mixture(rows, width, 4)):
        first = number * PART_ROWS
        keys = [str(row) for row in range(first, first + len(block))]
        texts = pa.array(keys, pa.string())
        table = record.captions("made", keys, texts, texts, None)
        table = table.append_column("embed.vector", vectors.halves(block))
        uri = folder / f"part-{number:05d}.arrow"
        parts.write(str(uri), table.schema, [table])
        views.append(PartView(uri.stem, str(uri), str(number), len(block), ""))
    return views


def run_step(folder: Path) -> None:
    """Runs the step over the corpus in a folder."""
    uris = sorted(folder.glob("part-*.arrow"))
    rows = [parts.read_columns(str(uri), ("id",)).num_rows for uri in uris]
    views = [
        PartView(uri.stem, str(uri), uri.stem, count, "")
        for uri, count in zip(uris, rows, strict=True)
    ]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        write_sidecars(views, "cluster", {"k": 1000, "neighbours": 0}, out)


def measure_memory(large_rows: int) -> None:
    print("the step `cluster: {k: 1000, neighbours: 0}` in one process: peak memory, CPU seconds")
    for rows, width in ((1_000_000, 384), (large_rows, 128)):
        with tempfile.TemporaryDirectory() as place:
            write_corpus(Path(place), rows, width)
            command = [sys.executable, "-m", "benchmarks.kmeans", "--step", place]
            found = cost(command, cwd=Path(__file__).parents[1])
            print(
                f"{rows:,} x {width} ({rows * width * 2 / 1e6:,.0f} MB of vectors): "
                f"{found.command_peak_mb:,.0f} MB, {found.cpu_seconds:,.0f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ("inertia", "speed", "memory")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--large-rows", type=int, default=10_000_000)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        run_step(Path(chosen.step))
        return
    if "speed" in chosen.only:
        compare_speed()
        compare_cells()
    if "inertia" in chosen.only:
        compare_inertia()
    if "memory" in chosen.only:
        measure_memory(chosen.large_rows)


if __name__ == "__main__":
    main()
