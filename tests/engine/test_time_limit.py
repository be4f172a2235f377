"""No record hangs a run: what takes too many CPU seconds is an error that `--retry` tries again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from manifests.run.manifest import load_run
from manifests.storage import parts
from tests.runs import write_recipe

SOURCE = {"name": "t", "reader": "table", "path": "data/*.jsonl", "text": "t"}
STEP, COSTLY = "tests.engine.hanging:Hangs", "tests.engine.hanging:CostlyHangs"
LIMIT = {"max_cpu_seconds": 0.4}


def _curate(base: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", *arguments]
    return subprocess.run(command, cwd=base, capture_output=True, text=True, timeout=300)


def _data(base: Path, *poisoned: int, rows: int = 300, name: str = "a") -> None:
    texts = [f"text {n} poison" if n in poisoned else f"text {n}" for n in range(rows)]
    lines = "".join(json.dumps({"t": text}) + "\n" for text in texts)
    (base / "data").mkdir(exist_ok=True)
    (base / "data" / f"{name}.jsonl").write_text(lines)


def _quarantine(base: Path) -> list[dict[str, Any]]:
    return parts.read_columns(str(base / "out" / "quarantine.arrow")).to_pylist()


def _check(base: Path, *lines: int) -> None:
    """Exactly these lines are quarantined, and everything else is kept."""
    found = _quarantine(base)
    assert sorted(int(row["origin"].rpartition("#")[2]) for row in found) == list(lines)
    assert {(row["error"], row["later"]) for row in found} == {("TimeLimitError", True)}
    assert all("raise max_cpu_seconds" in row["message"] for row in found)
    assert not list((base / "out").rglob(".part*")), "notes of complete parts are deleted"


@pytest.mark.slow
@pytest.mark.parametrize("step", [STEP, COSTLY])
@pytest.mark.parametrize("how", ["loop", "regex", "c"])
def test_a_row_that_hangs_a_step_is_quarantined_alone(tmp_path: Path, how: str, step: str) -> None:
    _data(tmp_path, 7, 200)
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": how}}, {"words": {"min": 2}}], **LIMIT)
    done = _curate(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path, 8, 201)


@pytest.mark.slow
def test_retry_asks_again_for_a_row_that_took_too_long(tmp_path: Path) -> None:
    _data(tmp_path, 7)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "loop"}}], **LIMIT)
    assert (
        "1 of them may succeed now: run again with --retry" in _curate(tmp_path, "--inline").stdout
    )
    again = _curate(tmp_path, "--inline", "--retry")
    assert again.returncode == cli.OK, again.stderr
    _check(tmp_path, 8)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "loop"}}], max_cpu_seconds=0.3)
    unchanged = _curate(tmp_path, "--inline")
    assert unchanged.stderr == "", "the limit is no part of a step's identity"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loop", "c"])
def test_a_reader_that_hangs_loses_the_rest_of_its_split(tmp_path: Path, how: str) -> None:
    _data(tmp_path, rows=4100, name="bad")
    _data(tmp_path, rows=10, name="good")
    source = {**SOURCE, "reader": "tests.engine.hanging:HangingReader", "how": how}
    write_recipe(tmp_path, source, max_cpu_seconds=0.1)
    done = _curate(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    [lost] = _quarantine(tmp_path)
    assert (lost["error"], lost["later"], lost["rows"]) == ("TimeLimitError", True, 4)
    counted = load_run(str(tmp_path / "out")).counted[-1]
    assert (counted.found, counted.used, counted.failed) == (4110, 4106, 4)


def test_a_limit_of_0_limits_nothing(tmp_path: Path) -> None:
    _data(tmp_path, rows=10)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "c"}}], max_cpu_seconds=0)
    assert _curate(tmp_path, "--inline").returncode == cli.OK
    assert not _quarantine(tmp_path)


@pytest.mark.ray
@pytest.mark.parametrize("step", [STEP, COSTLY])
@pytest.mark.parametrize("how", ["loop", "c"])
def test_on_ray_too_only_the_row_that_hangs_is_quarantined(
    tmp_path: Path, how: str, step: str
) -> None:
    _data(tmp_path, 7, 200)
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": how}}], **LIMIT)
    done = _curate(tmp_path, "--workers", "1")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path, 8, 201)
