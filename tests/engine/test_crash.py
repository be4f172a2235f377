"""No record ends a run: if the process crashes at one, it is quarantined, and the others are
kept."""

from __future__ import annotations

import faulthandler
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from curate import cli
from curate.engine import time_limit
from manifests.errors import CrashError, StepError
from manifests.run.manifest import load_run
from tests.engine.hanging_runs import (
    COSTLY,
    SOURCE,
    STEP,
    curate_run,
    end_while_working,
    quarantined,
    work_on,
    write_data,
)
from tests.runs import curate, environment, file_bytes, write_recipe

READER = "tests.engine.hanging:HangingReader"
RESHAPE = "tests.engine.hanging:ReshapeHangs"
CRASH = "Fatal Python error: Aborted\n\nCurrent thread 0x7f (most recent call first):"


def _check(base: Path, *lost: tuple[str, str, int], out: str = "out") -> None:
    """Exactly these rows, by origin, step and number of rows, are quarantined because of a crash.
    The run is sound, and no note is left."""
    found = quarantined(base, out)
    assert sorted((row["origin"], row["step"], row["rows"]) for row in found) == sorted(lost)
    assert all((row["error"], row["later"]) == ("CrashError", True) for row in found)
    assert all("run again with --retry" in row["message"] for row in found)
    assert not list((base / out).rglob(".*"))
    assert curate(base, "verify", out) == cli.OK


@pytest.mark.slow
@pytest.mark.parametrize(("step", "how"), [(STEP, "null"), (COSTLY, "abort"), (RESHAPE, "abort")])
def test_a_row_that_crashes_a_step_is_quarantined_alone(
    tmp_path: Path, step: str, how: str
) -> None:
    write_data(tmp_path, 7, 200)
    steps = [{step: {"how": how}}, {"words": {"min": 2}}]
    write_recipe(tmp_path, SOURCE, steps=steps, max_cpu_seconds=0)
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    name = step.rpartition(":")[2]
    _check(tmp_path, ("data/a.jsonl#8", name, 1), ("data/a.jsonl#201", name, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "rows", "counts"),
    [("read", 4, (4110, 4106, 4)), ("count", 0, (4110, 4110, 0)), ("all", 1, (4107, 4106, 1))],
)
def test_a_crash_of_a_reader_costs_at_most_the_rest_of_its_split(
    tmp_path: Path, where: str, rows: int, counts: tuple[int, int, int]
) -> None:
    write_data(tmp_path, rows=4100, name="bad")
    write_data(tmp_path, rows=10, name="good")
    write_recipe(tmp_path, {**SOURCE, "reader": READER, "how": "abort", "where": where})
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path, *([("data/bad.jsonl", "read t", rows)] if rows else []))
    found = [c for c in load_run(str(tmp_path / "out")).counted if c.unit != "files"]
    assert counts == tuple(sum(getattr(c, n) for c in found) for n in ("found", "used", "failed"))


@pytest.mark.ray
def test_on_ray_the_same_rows_are_quarantined_in_the_same_bytes(tmp_path: Path) -> None:
    write_data(tmp_path, rows=4100, name="bad")
    write_data(tmp_path, rows=10, name="good")
    source = {**SOURCE, "reader": READER, "how": "abort"}
    kinds = [STEP, RESHAPE, COSTLY]  # the first two are one pass: more than five deaths at a part
    steps = [{kind: {"how": "null", "word": f"text {4001 + n}"}} for n, kind in enumerate(kinds)]
    write_recipe(tmp_path, source, steps=steps)
    for out, how in (("inline", ["--inline"]), ("ray", ["--workers", "2"])):
        done = curate_run(tmp_path, *how, out=out)
        assert done.returncode == cli.OK, done.stderr
        names = [kind.rpartition(":")[2] for kind in kinds]
        lost = [(f"data/bad.jsonl#{4002 + n}", name, 1) for n, name in enumerate(names)]
        _check(tmp_path, ("data/bad.jsonl", "read t", 4), *lost, out=out)
    assert file_bytes(tmp_path / "ray") == file_bytes(tmp_path / "inline")


@pytest.mark.slow
@pytest.mark.parametrize("step", [STEP, COSTLY])
def test_retry_asks_again_for_a_row_that_crashed(tmp_path: Path, step: str) -> None:
    write_data(tmp_path, 7)
    (tmp_path / "how").write_text("abort")
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": "file"}}])
    done = curate_run(tmp_path, "--inline")
    assert "1 of them may succeed now: run again with --retry" in done.stdout, done.stderr
    (tmp_path / "how").write_text("none")
    assert len(_again(tmp_path)) == 1, "nothing is computed again without --retry"
    assert _again(tmp_path, "--retry") == []


def _again(base: Path, *more: str) -> list[object]:
    done = curate_run(base, "--inline", *more)
    assert done.returncode == cli.OK, done.stderr
    return [*quarantined(base)]


@pytest.mark.slow
def test_a_step_that_crashes_on_many_rows_stops_the_run_until_it_is_mended(tmp_path: Path) -> None:
    write_data(tmp_path, *range(20), rows=30)
    (tmp_path / "how").write_text("null")
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "file"}}])
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.FAILED
    assert "step Hangs: CrashError: the process crashed at this record" in done.stderr
    assert (
        "failed on more than 16 rows; the last of these rows is from data/a.jsonl#17" in done.stderr
    )
    (tmp_path / "how").write_text("none")
    assert _again(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [["abort", "none"], ["kill", "none"], ["kill", "abort", "none"]])
def test_a_process_that_ends_once_by_a_kill_or_a_crash_costs_no_row(
    tmp_path: Path, how: list[str]
) -> None:
    write_data(tmp_path, 7)
    (tmp_path / "how").write_text("\n".join(how))
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "file"}}])
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == (-signal.SIGKILL if "kill" in how else cli.OK)
    assert _again(tmp_path) == []
    _check(tmp_path)


@pytest.mark.ray
@pytest.mark.parametrize("step", [STEP, COSTLY])
def test_a_worker_of_ray_that_is_killed_costs_no_row(tmp_path: Path, step: str) -> None:
    write_data(tmp_path, 7)
    (tmp_path / "how").write_text("kill\nkill\nkill\nnone")
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": "file"}}])
    done = curate_run(tmp_path, "--workers", "1")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path)


def test_a_crash_outside_of_a_call_ends_the_command_by_its_signal(tmp_path: Path) -> None:
    code = f"""
        import os, sys
        from curate.engine import time_limit
        from curate.supervisor import supervised

        def work():
            open("attempts", "a").write("x")
            with time_limit.limiting({str(tmp_path)!r}, "part", "inputs", 0):
                time_limit.current().call("step", 0, 1, lambda: None)
                os.abort()

        sys.exit(supervised(work))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == -signal.SIGABRT
    assert (tmp_path / "attempts").read_text() == "x"


def test_faulthandler_is_as_it_was_after_a_part(tmp_path: Path) -> None:
    for is_enabled in (True, False):
        (faulthandler.enable if is_enabled else faulthandler.disable)()
        with time_limit.supervised(), time_limit.limiting(str(tmp_path), "part", "", 1):
            assert faulthandler.is_enabled()
        assert faulthandler.is_enabled() == is_enabled


def test_a_row_that_crashed_twice_is_passed_over(tmp_path: Path) -> None:
    end_while_working(tmp_path, CRASH)
    end_while_working(tmp_path, CRASH)
    with pytest.raises(CrashError, match="crashed at this record: Aborted"):
        work_on(tmp_path, lambda: None)


def test_a_step_that_crashed_65_times_in_a_part_stops_the_run_once(tmp_path: Path) -> None:
    end_while_working(tmp_path, CRASH)
    work_on(tmp_path, lambda: (tmp_path / ".part.work.list").rename(tmp_path / "kept"))
    [one] = json.loads((tmp_path / "kept").read_bytes())
    (tmp_path / ".part.work.list").write_text(json.dumps([one] * 65))
    with pytest.raises(StepError, match="step step: the process ended 65 times while"):
        work_on(tmp_path, lambda: None)
    work_on(tmp_path, lambda: None)
