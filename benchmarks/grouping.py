"""Grouping only: from band hashes to clusters, ours compared with the index of datasketch.

    python -m benchmarks.grouping [--documents 100000] [--rounds 3] [--engines curate,datasketch]

Signatures are drawn, not computed: a copy has each value of its original with a probability equal
to their similarity, as MinHash has it. There are 20 bands of 6 values. Ours is given the hashes of
the bands, because our sketch contains them; datasketch is given signatures, and makes keys from
their bytes. Timed for datasketch are all inserts, all look-ups, and the union of what they find.
Each engine runs in a process of its own; memory is the peak minus what the process held before.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines import ROOT
from benchmarks.peers.grams import clusters

PERMUTATIONS, BANDS, ROWS = 128, 20, 6
COPIES, MIN_SIMILARITY = 0.1, 0.6
Group = Callable[[], NDArray[np.int64]]


def signatures(documents: int, seed: int = 17) -> NDArray[np.uint32]:
    """Signatures, (documents, permutations); a tenth are copies with a similarity of 0.6 to 1."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, 1 << 32, (documents, PERMUTATIONS), np.uint32)
    originals = documents - int(COPIES * documents)
    copies = drawn[originals:]
    similar = random.uniform(MIN_SIMILARITY, 1, (len(copies), 1))
    source = drawn[random.integers(0, originals, len(copies))]
    np.copyto(copies, source, where=random.random(copies.shape) < similar)
    return drawn[random.permutation(documents)]


def band_hashes(drawn: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A hash of the six values of each band, (documents, 20)."""
    words = np.ascontiguousarray(drawn[:, : BANDS * ROWS]).view(np.uint64)
    words = words.reshape(len(drawn), BANDS, ROWS // 2)
    hashes = words[:, :, 0]
    for word in (words[:, :, 1], words[:, :, 2]):
        hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) ^ word
    return hashes


def curate(drawn: NDArray[np.uint32]) -> Group:
    bands = band_hashes(drawn)
    return lambda: ours(bands)


def ours(bands: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A cluster label for each row, the same for rows that share a band hash, also indirectly.

    This is what the engine does with a range of keys, here with one band at a time, and without
    sketches, which would reject pairs.
    """
    from filters.duplicates.phases.candidates import repeated_keys
    from manifests.kernels.grouping import runs, similar_pairs
    from manifests.kernels.union_find import spanning_edges

    a, b = [], []
    for band in range(bands.shape[1]):
        keys = np.ascontiguousarray(bands[:, band])
        rows = repeated_keys(keys)
        no_bits = np.zeros((len(rows), 2), np.uint64)
        pairs = similar_pairs(runs(keys[rows]), rows.astype(np.uint64), no_bits, 0, 64, 1)
        a.append(rows[pairs[:, 0]])
        b.append(rows[pairs[:, 1]])
    _, lowest = spanning_edges(np.concatenate(a), np.concatenate(b), len(bands))
    return lowest


def datasketch(drawn: NDArray[np.uint32]) -> Group:
    from datasketch import MinHash, MinHashLSH

    permutations = MinHash(num_perm=PERMUTATIONS).permutations
    sketches = [
        MinHash(hashvalues=row, permutations=permutations, scheme="affine32") for row in drawn
    ]

    def group() -> NDArray[np.int64]:
        index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
        for at, sketch in enumerate(sketches):
            index.insert(at, sketch, check_duplication=False)
        found = ((at, hit) for at, sketch in enumerate(sketches) for hit in index.query(sketch))
        return clusters(found, len(sketches))

    return group


ENGINES: dict[str, Callable[[NDArray[np.uint32]], Group]] = {
    "curate": curate,
    "datasketch": datasketch,
}


def measure(engine: str, documents: int) -> dict[str, Any]:
    """Group once; a smaller corpus is grouped first, so imports and compilation do not count."""
    ENGINES[engine](signatures(1000))()
    group = ENGINES[engine](signatures(documents))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory
    before_mb = _status_mb("VmHWM")
    start = time.process_time()
    labels = group()
    cpu_seconds = time.process_time() - start
    return {
        "cpu_seconds": cpu_seconds,
        "added_mb": _status_mb("VmHWM") - before_mb,
        "clusters": len(np.unique(labels)),
    }


def _status_mb(field: str) -> float:
    """A field of this process's status in MB, such as VmHWM, its peak of memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def in_own_process(engine: str, documents: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.grouping", "--only", engine]
    done = subprocess.run(
        [*command, "--documents", str(documents)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--only", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.documents)))
        return
    engines = given.engines.split(",")
    runs = {engine: [] for engine in engines}  # type: dict[str, list[dict[str, Any]]]
    for _ in range(given.rounds):
        for engine in engines:
            runs[engine].append(in_own_process(engine, given.documents))
    print(f"{given.documents:,} documents, {BANDS} bands of {ROWS}\n")
    print(f"{'engine':14}{'CPU-s':>10}{'us/doc':>10}{'MB added':>10}{'clusters':>12}")
    for engine, known in runs.items():
        best = min(known, key=lambda run: run["cpu_seconds"])
        print(
            f"{engine:14}{best['cpu_seconds']:10.3f}"
            f"{best['cpu_seconds'] / given.documents * 1e6:10.2f}{best['added_mb']:10,.1f}"
            f"{best['clusters']:12,}"
        )


if __name__ == "__main__":
    main()
