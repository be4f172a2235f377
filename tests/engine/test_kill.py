"""A worker, the driver, the raylet or the GCS is killed at a random moment: resuming gives the same
bytes.

CURATE_KILLS is the number of folders: 4 by default, with one kill each. Every second of the first 8
looks for duplicates, and is killed in one of the phases of that step; the others have a costly step
with checkpoints. From the ninth on, the recipe is small, and there are three to five kills in each:
on Ray (of a worker three times), then twice inline. The last run is by turns inline and on Ray.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from curate.engine.inline import Inline
from manifests.run.verify import verify
from tests.make import WORDS, write_captions
from tests.processes import marked_processes, running
from tests.runs import caption_recipe, file_bytes, row_counts, run_engine

KILLS = int(os.environ.get("CURATE_KILLS", "4"))
VICTIMS = {
    "worker": "ray::",
    "driver": "curate run",
    "raylet": "raylet/raylet",
    "gcs": "gcs_server",
}
STEPS = [
    {"words": {"min": 5}},
    {"tests.engine.pieces:Slow": {"milliseconds": 120}},
    {"tests.engine.pieces:SlowModel": {"milliseconds": 30, "min": 20}},
    {"entities": {"table": "entities.txt"}},
    {"metaclip": {"t": 200}},
    {"sample": {"share": 0.8, "weight": "metaclip.probability", "by": "source"}},
    {"characters": {"min": 3}},
    {"tests.engine.pieces:Slow": {"milliseconds": 60}},
]
IN_PIECES = {"by": "minhash", "threshold": 0.5, "n": 2, "index": True, "milliseconds": 40}
SMALL = [
    {"words": {"min": 5}},
    {"tests.engine.pieces:SlowModel": {"milliseconds": 10, "min": 20}},
    {"duplicates": {"by": "text", "index": True}},
    {"tests.engine.pieces:Slow": {"milliseconds": 40}},
    {"characters": {"min": 3}},
]
DUPLICATES = [
    {"words": {"min": 5}},
    {"duplicates": {"by": "text"}},
    {"tests.filters.duplicates.pieces:InPieces": IN_PIECES},
    {"characters": {"min": 3}},
]


class Case(NamedTuple):
    """A recipe; it is killed after `first` commits at the earliest, before `last` at the latest.
    `seconds` is how long a run may go on after the kill."""

    recipe: str
    first: int
    last: int
    seconds: int = 120


ROWS, PHASES = Case("rows", 0, 140), Case("duplicates", 60, 160)
QUICK = Case("small", 0, 34, 25)
LARGE = 8
"""The number of folders with large recipes."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("kills")
    write_captions(base / "data", files=16, rows=50)
    write_captions(base / "more", files=16, rows=50)
    (base / "entities.txt").write_text("\n".join(WORDS))
    for number in range(4):
        copied = (base / "more" / f"{number:03d}.jsonl").read_text().replace("tree", "Tree")
        (base / "more" / f"copy-{number}.jsonl").write_text(copied)
    shards = {"shard_bytes": 20_000, "formats": ["arrow", "jsonl"]}
    more = caption_recipe("more/*.jsonl")["sources"]
    recipes = {
        "rows": caption_recipe(steps=STEPS, shards=shards),
        "duplicates": caption_recipe(steps=DUPLICATES, shards=shards, sources=more),
        "small": caption_recipe("data/00[0-5].jsonl", steps=SMALL, shards=shards),
    }
    for name, what in recipes.items():
        (base / f"{name}.yaml").write_text(yaml.safe_dump(what))
        counts = row_counts(run_engine(what, base, base / f"{name}-reference", Inline()))
        if name == "duplicates":
            assert counts["duplicates"][2]["duplicate"] > 100
            assert counts["InPieces"][2]["duplicate"] > 100
    return base


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_a_random_moment_it_resumes_to_the_same_bytes(
    corpus: Path, number: int, record_property: Callable[[str, object], None]
) -> None:
    small = number >= LARGE
    case = QUICK if small else (ROWS, PHASES)[number % 2]
    out, reference = corpus / f"killed-{number}", corpus / f"{case.recipe}-reference"
    chance = random.Random(number)
    victim = list(VICTIMS)[number % len(VICTIMS)]
    killed = _killed_run(corpus, case, out, chance, victim, 3 if small else 1)
    for _ in range(2 if small else 0):
        killed += _killed_run(corpus, case, out, chance, "driver", 1, inline=True)
    record_property("killed", " ".join(killed))
    for again in range(3):
        inline = small and (number + again) % 2 == 0
        with _run(corpus, case.recipe, out, inline) as driver:
            if driver.wait(timeout=240) == 0:
                break
    assert verify(str(out)).faults == []
    assert _manifest_digest(out) == _manifest_digest(reference)
    assert _products(out) == _products(reference)
    assert list(out.glob("steps/*/work")) == []


def _killed_run(
    corpus: Path,
    case: Case,
    out: Path,
    chance: random.Random,
    victim: str,
    times: int,
    inline: bool = False,
) -> list[str]:
    """Start a run, and kill one of its processes at a random moment; of workers, as many as `times`
    says. Returns what was killed: nothing, if the run was faster."""
    mark, killed = uuid.uuid4().hex, list[str]()
    with _run(corpus, case.recipe, out, inline, mark) as driver:
        done = _commits(out)
        _wait_for_commits(
            out, driver, min(case.last, done + chance.randrange(case.first, case.last))
        )
        for _ in range(times if victim == "worker" else 1):
            time.sleep(chance.random() / 5)
            killed += [victim] if _kill(mark, VICTIMS[victim], chance, driver) else []
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.wait(timeout=case.seconds)
        assert killed or driver.returncode == 0, f"there was no {victim} to kill"
    return killed


def _products(out: Path) -> dict[str, bytes]:
    """All files of a run except the lists of splits."""
    return {
        name: data for name, data in file_bytes(out).items() if not name.endswith("splits.json")
    }


def _manifest_digest(out: Path) -> str:
    from manifests.run.manifest import load_run

    return load_run(str(out)).digest


def _run(
    corpus: Path, recipe: str, out: Path, inline: bool, mark: str = ""
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    how = ["--inline"] if inline else ["--workers", "2"]
    return running(corpus, f"{recipe}.yaml", "-o", str(out), *how, mark=mark)


def _wait_for_commits(out: Path, driver: subprocess.Popen[bytes], commits: int) -> None:
    """Wait until that many parts, and tasks of phases of corpus steps, are committed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and driver.poll() is None and _commits(out) < commits:
        time.sleep(0.02)


def _commits(out: Path) -> int:
    kinds = ("part-*", "work/*/*", "segments/*/*")
    return len([*itertools.chain(*(out.glob(f"steps/*/{kind}.json") for kind in kinds))])


def _kill(mark: str, what: str, chance: random.Random, driver: subprocess.Popen[bytes]) -> bool:
    """Kill one of the processes of a run whose command has this text, as soon as there is one;
    False if the run ends before."""
    while driver.poll() is None:
        if victims := _victims(mark, what):
            os.kill(chance.choice(victims), signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False


def _victims(mark: str, what: str) -> list[int]:
    victims = []
    for pid in marked_processes(mark):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if what in line:
                victims.append(pid)
    return sorted(victims)
