"""Near-duplicates of text, ours beside peers: CPU time, memory, recall and precision.

    python -m benchmarks.near_duplicates [--documents 20000] [--rounds 3] [--folder DIR]
        [--peers datasketch,rensa] [--python datatrove=/path/to/python] ...

A corpus with planted copies is made, and every engine finds those that are at least as similar as
the threshold, each in a process of its own, one after the other, as often as there are rounds; its
cheapest run counts. Timed is the work from texts in memory to the answer. Start-up, imports and
reading are told beside it. A peer that another environment has is given that one's Python.
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


class Place(NamedTuple):
    """The Python of the environment an engine is in, and its version there."""

    python: str
    version: str


FOOTNOTE = """
Recall: of documents that have a copy at least that similar, those named. Precision: of those named,
the ones that have one. Pairs: in one cluster; where flags or removals are all that an engine tells,
both flagged or one removed, which is the most it may have found. Bands: how many, of how many rows.
Other CPU-s: start-up, imports and reading. MB: the largest process."""


def made(folder: Path, documents: int, seed: int) -> tuple[Path, pa.Table]:
    """The corpus and its truth, from an earlier call where the folder has them."""
    place = folder / f"planted-{documents}-{seed}"
    corpus, pairs = place / "corpus.jsonl", place / "truth.parquet"  # the truth is written last
    if not pairs.exists():
        planted.write(place, documents, seed)
    return corpus, pq.read_table(pairs)


def measured(
    places: dict[str, Place], rounds: int, corpus: Path, threshold: float, folder: Path
) -> tuple[dict[str, Run], dict[str, str]]:
    """The cheapest run of each engine, and what happened to those that failed."""
    best: dict[str, Run] = {}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in [name for name in places if name not in failed]:
            try:
                known = run(ENGINES[name], places[name].python, corpus, threshold, folder / name)
            except RuntimeError as error:
                failed[name] = str(error)
                continue
            stages = ", ".join(f"{stage} {taken:.2f}" for stage, taken in known.seconds.items())
            print(f"round {number + 1}: {name}: CPU-s {stages}", file=sys.stderr, flush=True)
            if name not in best or known.cpu_seconds < best[name].cpu_seconds:
                best[name] = known
    return {name: best[name] for name in places if name in best}, failed


def summary(corpus: Path, documents: int, truth: pa.Table, threshold: float) -> None:
    alike = truth.filter(pc.greater_equal(truth["jaccard"], threshold))
    copies = len(np.union1d(alike["first"].to_numpy(), alike["second"].to_numpy()))
    counts, _ = np.histogram(alike["jaccard"].to_numpy(), edges(threshold))
    size = corpus.stat().st_size / 1e6
    print(f"{documents:,} documents, {size:,.1f} MB, threshold {threshold}; one thread")
    print(f"{copies:,} have a copy at least that similar; {len(alike):,} such pairs, of them")
    told = zip(counts, intervals(threshold), strict=True)
    print(", ".join(f"{count:,} at {interval}" for count, interval in told) + "\n")


def intervals(threshold: float) -> list[str]:
    bounds = edges(threshold)
    return [f"{low:.2f}-{high:.2f}" for low, high in pairwise(bounds)]


def costs_table(
    best: dict[str, Run], places: dict[str, Place], judged: dict[str, Quality], threshold: float
) -> None:
    print(
        f"{'engine':32}{'bands':>8}{'us/doc':>10}{'docs/CPU-s':>12}{'x ours':>8}"
        f"{'other CPU-s':>13}{'MB':>7}  {'tells':10}{'recall':>8}{'precision':>11}"
        + "".join(f"{interval:>11}" for interval in intervals(threshold))
    )
    for name, known in best.items():
        documents, seen = len(known.answer.values), judged[name]
        ratio = known.cpu_seconds / best[OURS].cpu_seconds if OURS in best else None
        print(
            f"{name + ' ' + places[name].version:32}{known.bands:>8}"
            f"{known.cpu_seconds / documents * 1e6:10,.1f}{documents / known.cpu_seconds:12,.0f}"
            f"{_told(ratio, 1):>8}{known.other_seconds:13,.1f}{known.peak_mb:7,.0f}  "
            f"{known.answer.kind:10}{_told(seen.recall, 4):>8}{_told(seen.precision, 4):>11}"
            + "".join(f"{_told(share, 4):>11}" for share in seen.pair_recall)
        )
    print(FOOTNOTE)


def levels_table(truth: pa.Table, threshold: float, judged: dict[str, Quality]) -> None:
    """Recall by edit, of the pairs it made that are still as similar as the threshold."""
    levels = list(planted.EDITS)
    made_by = [truth.filter(pc.equal(truth["level"], level))["jaccard"] for level in levels]
    heads = [textwrap.wrap(level, 9) for level in levels]
    rows = {
        "": [head[0] for head in heads],
        " ": [head[1] if len(head) > 1 else "" for head in heads],
        "mean similarity": [_told(pc.mean(pairs).as_py(), 3) for pairs in made_by],
        f"at least {threshold} similar": [
            f"{pc.sum(pc.greater_equal(pairs, threshold)).as_py() or 0:,}" for pairs in made_by
        ],
    }
    for name, seen in judged.items():
        rows[name] = [_told(seen.level_recall.get(level), 4) for level in levels]
    print()
    for name, cells in rows.items():
        print(f"{name:24}" + "".join(f"{cell:>11}" for cell in cells))


def _told(share: float | None, places: int) -> str:
    return "-" if share is None or np.isnan(share) else f"{share:.{places}f}"


def environments(
    peers: list[str], pythons: dict[str, str]
) -> tuple[dict[str, Place], dict[str, str]]:
    """Where each engine is, and the peers whose package is not in the environment asked."""
    found, absent = {}, {}
    for name in [OURS, *peers]:
        engine = ENGINES[name]
        python = pythons.get(engine.environment, sys.executable)
        known = version(engine, python)
        if known is None:
            absent[name] = f"{python} has no {engine.package}; give --python {engine.environment}="
        else:
            found[name] = Place(python, known)
    return found, absent


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    peers = [name for name in ENGINES if name != OURS]
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--peers", default=",".join(peers), help="of " + ", ".join(peers))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--folder", type=Path, help="keeps the corpus for another call")
    given = parser.parse_args()
    given.peers = [name for name in given.peers.split(",") if name]
    given.python = dict(pair.partition("=")[::2] for pair in given.python)
    for name in given.peers:
        if name not in peers:
            parser.error(f"no peer named {name!r}; there are {', '.join(peers)}")
    known = {engine.environment for engine in ENGINES.values()}
    for name, python in given.python.items():
        if name not in known:
            parser.error(f"--python {name}=: no such peer; there are {', '.join(sorted(known))}")
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
        corpus, truth = made(given.folder or Path(scratch), given.documents, given.seed)
        best, failed = measured(places, given.rounds, corpus, given.threshold, Path(scratch))
        summary(corpus, given.documents, truth, given.threshold)
    judged = {name: quality(known.answer, truth, given.threshold) for name, known in best.items()}
    costs_table(best, places, judged, given.threshold)
    levels_table(truth, given.threshold, judged)
    for name, why in absent.items():
        print(f"\n{name}: not installed ({why})")
    for name, why in failed.items():
        print(f"\n{name}: failed\n{textwrap.indent(why, '    ')}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
