"""No record hangs a run: what takes too many CPU seconds is an error that `--retry` tries again."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from curate import cli
from curate.engine import time_limit
from manifests.errors import TimeLimitError
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
from tests.runs import write_recipe

LIMIT = {"max_cpu_seconds": 0.4}


def _check(base: Path, *lines: int) -> None:
    """Exactly these lines are quarantined, and everything else is kept."""
    found = quarantined(base)
    assert sorted(int(row["origin"].rpartition("#")[2]) for row in found) == list(lines)
    assert {(row["error"], row["later"]) for row in found} == {("TimeLimitError", True)}
    assert all("raise max_cpu_seconds" in row["message"] for row in found)
    assert not list((base / "out").rglob(".part*")), "notes of complete parts are deleted"


@pytest.mark.slow
@pytest.mark.parametrize("step", [STEP, COSTLY])
@pytest.mark.parametrize("how", ["loop", "regex", "c"])
def test_a_row_that_hangs_a_step_is_quarantined_alone(tmp_path: Path, how: str, step: str) -> None:
    write_data(tmp_path, 7, 200)
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": how}}, {"words": {"min": 2}}], **LIMIT)
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path, 8, 201)


@pytest.mark.slow
def test_retry_asks_again_for_a_row_that_took_too_long(tmp_path: Path) -> None:
    write_data(tmp_path, 7)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "loop"}}], **LIMIT)
    assert (
        "1 of them may succeed now: run again with --retry"
        in curate_run(tmp_path, "--inline").stdout
    )
    again = curate_run(tmp_path, "--inline", "--retry")
    assert again.returncode == cli.OK, again.stderr
    _check(tmp_path, 8)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "loop"}}], max_cpu_seconds=0.3)
    unchanged = curate_run(tmp_path, "--inline")
    assert unchanged.stderr == "", "the limit is no part of a step's identity"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loop", "c"])
def test_a_reader_that_hangs_loses_the_rest_of_its_split(tmp_path: Path, how: str) -> None:
    write_data(tmp_path, rows=4100, name="bad")
    write_data(tmp_path, rows=10, name="good")
    source = {**SOURCE, "reader": "tests.engine.hanging:HangingReader", "how": how}
    write_recipe(tmp_path, source, max_cpu_seconds=0.1)
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.OK, done.stderr
    [lost] = quarantined(tmp_path)
    assert (lost["error"], lost["later"], lost["rows"]) == ("TimeLimitError", True, 4)
    counted = load_run(str(tmp_path / "out")).counted[-1]
    assert (counted.found, counted.used, counted.failed) == (4110, 4106, 4)


@pytest.mark.parametrize(("limit", "too_slow"), [(0, 0), (0.1, 1)])
def test_a_limit_of_0_limits_nothing(tmp_path: Path, limit: float, too_slow: int) -> None:
    write_data(tmp_path, 7, rows=10)
    write_recipe(tmp_path, SOURCE, steps=[{STEP: {"how": "slow"}}], max_cpu_seconds=limit)
    assert curate_run(tmp_path, "--inline").returncode == cli.OK
    assert len(quarantined(tmp_path)) == too_slow


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loop", "c"])
@pytest.mark.parametrize("costs", [False, True])
def test_a_step_that_hangs_in_deciding_stops_the_run(tmp_path: Path, how: str, costs: bool) -> None:
    write_data(tmp_path, rows=10)
    step = "tests.engine.hanging:" + ("CostlyHangsInDeciding" if costs else "HangsInDeciding")
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": how}}], max_cpu_seconds=0.2)
    done = curate_run(tmp_path, "--inline")
    assert done.returncode == cli.FAILED
    assert "HangsInDeciding, decide" in done.stderr
    assert "raise max_cpu_seconds" in done.stderr


@pytest.mark.parametrize(
    ("inputs", "seconds", "asked"), [("same", 1, False), ("edited", 1, True), ("same", 2, True)]
)
def test_a_row_that_hung_is_passed_over_only_with_the_same_inputs_and_limit(
    tmp_path: Path, inputs: str, seconds: float, asked: bool
) -> None:
    end_while_working(tmp_path, "Thread 0x7f (most recent call first):")
    with contextlib.nullcontext() if asked else pytest.raises(TimeLimitError):
        work_on(tmp_path, lambda: None, inputs, seconds)


def test_an_exception_of_the_timer_while_it_is_stopped_leaves_no_timer_armed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timer, before = time_limit._Timer, signal.getsignal(signal.SIGVTALRM)
    monkeypatch.setattr(timer, "__exit__", lambda self, *_: self._raise(signal.SIGVTALRM, None))
    with pytest.raises(TimeLimitError):
        time_limit.TimeLimit(100, [], None).call("step", 0, 1, lambda: None)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert signal.getsignal(signal.SIGVTALRM) == before


@pytest.mark.parametrize(("system", "is_supervised"), [("linux", True), ("darwin", False)])
def test_a_process_is_ended_only_where_another_starts_it_again(
    tmp_path: Path, system: str, is_supervised: bool
) -> None:
    code = f"""
        import sys
        from curate.engine import time_limit
        from curate.supervisor import supervised
        sys.platform = "{system}"
        sys.exit(supervised(lambda: 10 + (time_limit._supervision is not None)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 10 + is_supervised


@pytest.mark.ray
@pytest.mark.parametrize("step", [STEP, COSTLY])
@pytest.mark.parametrize("how", ["loop", "c"])
def test_on_ray_too_only_the_row_that_hangs_is_quarantined(
    tmp_path: Path, how: str, step: str
) -> None:
    write_data(tmp_path, 7, 200)
    write_recipe(tmp_path, SOURCE, steps=[{step: {"how": how}}], **LIMIT)
    done = curate_run(tmp_path, "--workers", "1")
    assert done.returncode == cli.OK, done.stderr
    _check(tmp_path, 8, 201)
