"""Embedding that is killed in the middle: the next run gives the same bytes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from manifests.run.manifest import load_run
from manifests.run.verify import verify
from tests.make import write_captions
from tests.processes import marked_processes, running
from tests.runs import caption_recipe, file_bytes

STEPS = [{"embed": {}}, {"embed_patches": {"sample": 50}}]
MEASURES, APPLIED = "*-embed-measures-*", "*-embed_patches-*"
INLINE, RAY = ("--inline",), ("--workers", "2")
FILES = 6


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("killed")
    write_captions(base / "data", files=FILES, rows=60)
    (base / "recipe.yaml").write_text(yaml.safe_dump(caption_recipe(steps=STEPS)))
    with running(base, "recipe.yaml", "-o", "whole", *INLINE) as driver:
        assert driver.wait(timeout=240) == 0
    return base


def products(out: Path) -> dict[str, bytes]:
    """All files of a run except the lists of splits."""
    return {n: data for n, data in file_bytes(out).items() if not n.endswith("splits.json")}


def parts(out: Path, step: str) -> int:
    return len([*out.glob(f"steps/{step}/part-*.json")])


@contextlib.contextmanager
def killing(base: Path, out: str, how: tuple[str, ...], step: str, least: int) -> Iterator[str]:
    """A run whose processes the block kills, when `least` parts of the step are written."""
    mark = uuid.uuid4().hex
    with running(base, "recipe.yaml", "-o", out, *how, mark=mark) as driver:
        deadline = time.monotonic() + 200
        while parts(base / out, step) < least and time.monotonic() < deadline:
            assert driver.poll() is None
            time.sleep(0.01)
        yield mark


def kill(mark: str, name: str) -> bool:
    """Kills a process of the run whose command line has the name; False if there is none."""
    for pid in marked_processes(mark):
        with contextlib.suppress(OSError):
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "):
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def check(base: Path, out: str, how: tuple[str, ...]) -> None:
    with running(base, "recipe.yaml", "-o", out, *how) as driver:
        assert driver.wait(timeout=240) == 0
    assert verify(str(base / out)).faults == []
    assert load_run(str(base / out)).digest == load_run(str(base / "whole")).digest
    assert products(base / out) == products(base / "whole")


def test_a_killed_driver(base: Path) -> None:
    for step, least in ((MEASURES, 1), (MEASURES, 4), (APPLIED, 1)):
        with killing(base, "driver", INLINE, step, least) as mark:
            assert kill(mark, "curate run")
    assert 0 < parts(base / "driver", APPLIED) <= FILES
    check(base, "driver", INLINE)


def test_killed_workers_and_a_killed_driver_on_ray(base: Path) -> None:
    with killing(base, "ray", RAY, MEASURES, 1) as mark:
        assert kill(mark, "ray::")
        time.sleep(0.2)
        kill(mark, "curate run")  # on a fast machine the run may be over
    assert parts(base / "ray", MEASURES) <= FILES
    check(base, "ray", RAY)
