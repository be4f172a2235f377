"""Near-duplicates of text, ours compared with peers: CPU time, memory, recall and precision.

    python -m benchmarks.near_duplicates [--documents 20000] [--rounds 3] [--folder DIR]
        [--peers datasketch,rensa] [--python datatrove=/path/to/python] ...

A corpus with planted copies is made. Every engine finds the documents that have a copy with at
least the threshold's similarity. Each engine runs once per round, in a process of its own, one
after the other; its cheapest run counts. Timed is the work from texts in memory to the answer;
start-up, imports and reading are in a column of their own. `--python` names the interpreter of a
peer that is installed in another environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import planted
from benchmarks.engines import ENGINES, ONE_THREAD, OURS, Run, run, version
from benchmarks.quality import Quality, edges, quality


class Installed(NamedTuple):
    """The interpreter that an engine runs in, and the version of its package there."""

    python: str
    version: str


FOOTNOTE = """
Recall: the share of documents with a copy that are found. Precision: the share of found documents
that have a copy. Both count copies with at least the threshold's similarity. By interval: the share
of pairs found, that is in one cluster. For an engine that only flags or removes documents a pair
counts if both are flagged or one is removed: an upper bound. Bands: their number x rows in each.
Other CPU-s: start-up, imports and reading. MB: the largest process."""


def planted_corpus(folder: Path, documents: int, seed: int) -> tuple[Path, pa.Table]:
    """The corpus and its truth; made only if the folder does not have them from an earlier call."""
    place = folder / f"planted-{documents}-{seed}"
    corpus, pairs = place / "corpus.jsonl", place / "truth.parquet"  # the truth is written last
    if not pairs.exists():
        planted.write(place, documents, seed)
    return corpus, pq.read_table(pairs)


def cheapest_runs(
    places: dict[str, Installed], rounds: int, corpus: Path, threshold: float, folder: Path
) -> tuple[dict[str, Run], dict[str, str]]:
    """The cheapest run of each engine, and the error of each engine that failed."""
    best: dict[str, Run] = {}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in [name for name in places if name not in failed]:
            try:
                known = run(ENGINES[name], places[name].python, corpus, threshold, folder / name)
            except RuntimeError as error:
                failed[name] = str(error)
                continue
            stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in known.seconds.items())
            print(f"round {number + 1}: {name}: CPU-s {stages}", file=sys.stderr, flush=True)
            if name not in best or known.cpu_seconds < best[name].cpu_seconds:
                best[name] = known
    return {name: best[name] for name in places if name in best}, failed


def summary(corpus: Path, documents: int, truth: pa.Table, threshold: float) -> None:
    """Print the size of the corpus, and how many copies and pairs there are to find."""
    similar = truth.filter(pc.greater_equal(truth["jaccard"], threshold))
    copies = len(np.union1d(similar["first"].to_numpy(), similar["second"].to_numpy()))
    counts, _ = np.histogram(similar["jaccard"].to_numpy(), edges(threshold))
    size = corpus.stat().st_size / 1e6
    print(f"{documents:,} documents, {size:,.1f} MB, threshold {threshold}; one thread")
    print(f"{copies:,} have a copy with at least that similarity; {len(similar):,} such pairs:")
    by_interval = zip(counts, intervals(threshold), strict=True)
    print(", ".join(f"{count:,} at {interval}" for count, interval in by_interval) + "\n")


def intervals(threshold: float) -> list[str]:
    bounds = edges(threshold)
    return [f"{low:.2f}-{high:.2f}" for low, high in pairwise(bounds)]


def costs_table(
    best: dict[str, Run],
    places: dict[str, Installed],
    qualities: dict[str, Quality],
    threshold: float,
) -> None:
    """Print the cost of each engine, and the quality of its answer."""
    print(
        f"{'engine':32}{'bands':>8}{'us/doc':>10}{'docs/CPU-s':>12}{'x ours':>8}"
        f"{'other CPU-s':>13}{'MB':>7}  {'answer':10}{'recall':>8}{'precision':>11}"
        + "".join(f"{interval:>11}" for interval in intervals(threshold))
    )
    for name, known in best.items():
        documents, found = len(known.answer.values), qualities[name]
        ratio = known.cpu_seconds / best[OURS].cpu_seconds if OURS in best else None
        print(
            f"{name + ' ' + places[name].version:32}{known.bands:>8}"
            f"{known.cpu_seconds / documents * 1e6:10,.1f}{documents / known.cpu_seconds:12,.0f}"
            f"{_format(ratio, 1):>8}{known.other_seconds:13,.1f}{known.peak_mb:7,.0f}  "
            f"{known.answer.kind:10}{_format(found.recall, 4):>8}{_format(found.precision, 4):>11}"
            + "".join(f"{_format(share, 4):>11}" for share in found.pair_recall)
        )
    print(FOOTNOTE)


def levels_table(truth: pa.Table, threshold: float, qualities: dict[str, Quality]) -> None:
    """Print the recall by edit, of pairs of an original and its copy that reach the threshold."""
    levels = list(planted.EDITS)
    made_by = [truth.filter(pc.equal(truth["level"], level))["jaccard"] for level in levels]
    heads = [textwrap.wrap(level, 9) for level in levels]
    rows = {
        "": [head[0] for head in heads],
        " ": [head[1] if len(head) > 1 else "" for head in heads],
        "mean similarity": [_format(pc.mean(pairs).as_py(), 3) for pairs in made_by],
        f"at least {threshold} similar": [
            f"{pc.sum(pc.greater_equal(pairs, threshold)).as_py() or 0:,}" for pairs in made_by
        ],
    }
    for name, quality_ in qualities.items():
        rows[name] = [_format(quality_.level_recall.get(level), 4) for level in levels]
    print()
    for name, cells in rows.items():
        print(f"{name:24}" + "".join(f"{cell:>11}" for cell in cells))


def _format(share: float | None, places: int) -> str:
    """A number with this many decimal places; "-" for None and NaN."""
    return "-" if share is None or np.isnan(share) else f"{share:.{places}f}"


def environments(
    peers: list[str], pythons: dict[str, str]
) -> tuple[dict[str, Installed], dict[str, str]]:
    """Where each engine is installed, and why others cannot run: their package is missing."""
    found, absent = {}, {}
    for name in [OURS, *peers]:
        engine = ENGINES[name]
        python = pythons.get(engine.environment, sys.executable)
        known = version(engine, python)
        if known is None:
            absent[name] = f"{python} has no {engine.package}; give --python {engine.environment}="
        else:
            found[name] = Installed(python, known)
    return found, absent


def options() -> argparse.Namespace:
    """The command line, with the names of peers and interpreters checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    peers = [name for name in ENGINES if name != OURS]
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--peers", default=",".join(peers), help="any of " + ", ".join(peers))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--folder", type=Path, help="where to keep the corpus for later calls")
    given = parser.parse_args()
    given.peers = [name for name in given.peers.split(",") if name]
    given.python = dict(pair.partition("=")[::2] for pair in given.python)
    for name in given.peers:
        if name not in peers:
            parser.error(f"no peer named {name!r}; there are {', '.join(peers)}")
    known = {engine.environment for engine in ENGINES.values()}
    for name, python in given.python.items():
        if name not in known:
            names = ", ".join(sorted(known))
            parser.error(f"--python {name}=: no such environment; there are {names}")
        if shutil.which(python) is None:
            parser.error(f"--python {name}={python}: no such program")
    return given


def main() -> int:
    given = options()
    os.environ |= ONE_THREAD
    places, absent = environments(given.peers, given.python)
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        corpus, truth = planted_corpus(given.folder or Path(scratch), given.documents, given.seed)
        best, failed = cheapest_runs(places, given.rounds, corpus, given.threshold, Path(scratch))
        summary(corpus, given.documents, truth, given.threshold)
    qualities = {
        name: quality(known.answer, truth, given.threshold) for name, known in best.items()
    }
    costs_table(best, places, qualities, given.threshold)
    levels_table(truth, given.threshold, qualities)
    for name, why in absent.items():
        print(f"\n{name}: not installed ({why})")
    for name, why in failed.items():
        print(f"\n{name}: failed\n{textwrap.indent(why, '    ')}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
