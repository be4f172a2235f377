"""Runs of recipes with the steps and the reader of `tests.engine.hanging`."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.engine import time_limit
from curate.engine.work_notes import Block
from manifests.storage import parts
from tests.runs import environment

SOURCE = {"name": "t", "reader": "table", "path": "data/*.jsonl", "text": "t"}
STEP, COSTLY = "tests.engine.hanging:Hangs", "tests.engine.hanging:CostlyHangs"


def curate_run(base: Path, *arguments: str, out: str = "out") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", out, *arguments]
    return subprocess.run(
        command, cwd=base, env=environment(), capture_output=True, text=True, timeout=300
    )


def write_data(base: Path, *poisoned: int, rows: int = 300, name: str = "a") -> None:
    texts = [f"text {n} poison" if n in poisoned else f"text {n}" for n in range(rows)]
    lines = "".join(json.dumps({"t": text}) + "\n" for text in texts)
    (base / "data").mkdir(exist_ok=True)
    (base / "data" / f"{name}.jsonl").write_text(lines)


def quarantined(base: Path, out: str = "out") -> list[dict[str, Any]]:
    return parts.read_columns(str(base / out / "quarantine.arrow")).to_pylist()


NOTED = Block("step", 5, 1)


def work_on(
    folder: Path, work: Callable[[], object], inputs: str = "same", seconds: float = 1
) -> None:
    """Work on the block NOTED in an attempt at a part of these inputs, with this limit."""
    with time_limit.supervised(), time_limit.limiting(str(folder), "part", inputs, seconds):
        time_limit.current().call(*NOTED, work)


def end_while_working(folder: Path, why: str) -> None:
    """Leave the note that a process leaves if it ends while it works on the block NOTED, and
    faulthandler writes `why`."""
    note, content = folder / ".part.work", b""

    def work() -> None:
        nonlocal content
        content = note.read_bytes()
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        work_on(folder, work)
    note.write_bytes(content + why.encode())
