"""The search of `retrieve`: its speed beside plain faiss, and the memory of a large pool.

    python -m benchmarks.retrieve [--pool 200000] [--marked 4000] [--width 256] [--count 10]
    python -m benchmarks.retrieve --memory [--pool 1000000] [--width 128]

First, on one thread: the comparison of all records of a pool with all marked records as a task of
the step does it, and faiss' IndexFlatIP for the same answers: the nearest of the pool for each
marked record, and the nearest marked record for each record of the pool. With `--memory`, the whole
step over a pool that no process holds at once: CPU seconds, and the peak of the memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from typing import NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # numpy reads them when it is imported

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from clustering.neighbours.best import Nearest, Top, compare  # noqa: E402
from clustering.neighbours.search import MARKED_ROWS, POOL_ROWS  # noqa: E402
from clustering.retrieve import Retrieve  # noqa: E402
from curate.engine.inline import Inline  # noqa: E402
from curate.engine.progress import Progress  # noqa: E402
from curate.engine.workspace import Workspace  # noqa: E402
from manifests import record  # noqa: E402
from manifests.media import Media  # noqa: E402
from manifests.step import Context, Part  # noqa: E402
from manifests.vectors.units import Units, units_of  # noqa: E402

PART_ROWS = 50_000
CENTRES = 500


def drawn(rows: int, width: int, seed: int) -> np.ndarray:
    """Vectors around common centres, as embeddings of images of some classes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CENTRES, width))
    own = centres[random.integers(0, CENTRES, rows)]
    return (own + 0.8 * random.standard_normal((rows, width))).astype(np.float32)


def ours(marked: Units, pool: Units, count: int) -> tuple[list[Top], list[Nearest]]:
    """What a task of the step does for a part, without reading and writing."""
    starts = range(0, marked.rows, MARKED_ROWS)
    every = np.arange(max(marked.rows, pool.rows))
    tops = [Top(min(MARKED_ROWS, marked.rows - start), count) for start in starts]
    found = []
    for low in range(0, pool.rows, POOL_ROWS):
        block = pool.take(every[low : min(low + POOL_ROWS, pool.rows)])
        nearest = Nearest(block.rows)
        for start, top in zip(starts, tops, strict=True):
            own = marked.take(every[start : min(start + MARKED_ROWS, marked.rows)])
            keys = every[start : start + own.rows].astype(np.uint64)
            compare(own, block, low + every[: block.rows], top, nearest, start, keys, -1.0)
        found.append(nearest)
    return tops, found


def with_faiss(marked: Units, pool: Units, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The same by faiss, and the CPU seconds of its first search."""
    import faiss

    faiss.omp_set_num_threads(1)
    start = time.process_time()
    index = faiss.IndexFlatIP(pool.vectors.shape[1])
    index.add(pool.vectors)
    _, top = index.search(marked.vectors, count)
    first = time.process_time() - start
    other = faiss.IndexFlatIP(pool.vectors.shape[1])
    other.add(marked.vectors)
    _, nearest = other.search(pool.vectors, 1)
    return top, nearest[:, 0], first


def compare_speed(pool_rows: int, marked_rows: int, width: int, count: int) -> None:
    pool, marked = (units_of(drawn(n, width, s)) for n, s in ((pool_rows, 1), (marked_rows, 2)))
    ours(marked.take(np.arange(9)), pool.take(np.arange(9)), 2)  # compiles the loops
    start = time.process_time()
    tops, found = ours(marked, pool, count)
    own = time.process_time() - start
    start = time.process_time()
    top, nearest, first = with_faiss(marked, pool, count)
    both = time.process_time() - start
    same_top = (np.concatenate([one.at for one in tops]) == top).mean()
    same_nearest = (np.concatenate([one.at for one in found]) == nearest).mean()
    print(f"pool {pool_rows:,} x {width}, {marked_rows:,} marked, the {count} nearest, one thread")
    print("CPU seconds")
    print(f"retrieve, both directions        {own:8.2f} s")
    print(f"faiss IndexFlatIP, both          {both:8.2f} s")
    print(f"faiss IndexFlatIP, marked only   {first:8.2f} s")
    print(f"same as faiss: {same_top:.4%} of the nearest, {same_nearest:.4%} of the nearest marked")


class MadeCorpus(NamedTuple):
    """A corpus whose parts are made when they are read: the first has the marked records."""

    pool: int
    marked: int
    width: int

    @property
    def parts(self) -> tuple[Part, ...]:
        sizes = [self.marked, *[PART_ROWS] * (self.pool // PART_ROWS)]
        return tuple(Part(n, f"part-{n:04d}", rows) for n, rows in enumerate(sizes))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        vectors = drawn(part.rows, self.width, part.number).astype(np.float16)
        keys = map(str, range(part.number * PART_ROWS, part.number * PART_ROWS + part.rows))
        table = pa.table(
            {
                "id": record.record_ids("made", keys),
                "source": pa.repeat("pool" if part.number else "main", part.rows),
                "embed.vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), self.width),
                "cluster.sparse": pa.array(np.ones(part.rows, bool)),
            }
        )
        return table if columns is None else table.select(list(columns))


def measure_memory(pool: int, marked: int, width: int, count: int) -> None:
    corpus, step = MadeCorpus(pool, marked, width), Retrieve(pool="pool", count=count, index=True)
    corpus.read(corpus.parts[-1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, kept = time.process_time(), 0
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(folder, "", folder, Inline(), Progress(quiet=True), "retrieve")
        fit = step.fit(corpus, space, 0)
        for part in corpus.parts:
            context = Context(Media(), lambda data: None, part=part)  # type: ignore[arg-type]
            outcome = step.apply(corpus.read(part), fit, context)
            assert outcome.drop is not None
            kept += outcome.drop.null_count
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"pool {pool:,} x {width} ({pool * width * 2 / 2**20:,.0f} MB as float16)")
    print(f"{seconds:.1f} CPU seconds in one process, {kept - marked:,} records of the pool kept")
    print(f"peak of the memory {after:,.0f} MB; {before:,.0f} MB before the step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=int)
    parser.add_argument("--marked", type=int, default=4000)
    parser.add_argument("--width", type=int)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.memory:
        measure_memory(given.pool or 1_000_000, given.marked, given.width or 128, given.count)
    else:
        compare_speed(given.pool or 200_000, given.marked, given.width or 256, given.count)


if __name__ == "__main__":
    main()
