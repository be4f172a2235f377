"""A module of the user that hides one of our packages is named, on driver and worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["filters", "manifests", "recaption", "clustering"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_module_that_shadows_ours_is_named(tmp_path: Path, name: str, kind: str) -> None:
    offender = tmp_path / f"{name}.py" if kind == "file" else tmp_path / name / "__init__.py"
    offender.parent.mkdir(exist_ok=True)
    offender.write_text("")
    done = _import_curate(tmp_path)
    assert done.returncode != 0
    assert f"'{name}'" in done.stderr
    assert str(offender) in done.stderr


def test_other_modules_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("")
    assert _import_curate(tmp_path).returncode == 0


def test_a_ray_worker_names_the_module_too(tmp_path: Path) -> None:
    (tmp_path / "filters.py").write_text("")
    program = (
        "import ray\n"
        "ray.init(num_cpus=1, include_dashboard=False, logging_level='ERROR')\n"
        "@ray.remote\n"
        "def work():\n"
        "    import curate\n"
        "ray.get(work.remote())\n"
    )
    (tmp_path / "job.py").write_text(program)
    command = [sys.executable, str(tmp_path / "job.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd="/")
    assert done.returncode != 0
    assert str(tmp_path / "filters.py") in done.stderr


def _import_curate(first: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(first)}
    command = [sys.executable, "-c", "import curate"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
