"""A run that asks a model is killed at random moments: no request whose reply is in the journal is
sent again, and the shards are the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.make import make_image, write_json_lines
from tests.processes import running
from tests.recaption.endpoint import KEY, MODEL
from tests.runs import caption_recipe, environment, file_bytes

ROWS, IN_FLIGHT = 300, 8
KILLS = int(os.environ.get("CURATE_KILLS", "2"))


@contextlib.contextmanager
def serving(log: Path) -> Iterator[str]:
    """The address of a server in a process of its own, which writes what it is asked to `log`."""
    log.touch()
    command = [sys.executable, "-m", "tests.recaption.endpoint", str(log)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


def run(
    base: Path, out: str, how: tuple[str, ...]
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    arguments = ("recipe.yaml", "-o", out, "-q", *how)
    return running(base, *arguments, stderr=subprocess.PIPE, VLM_API_KEY=KEY)


@pytest.mark.parametrize("how", [("--inline",), ("--workers", "2")])
def test_no_request_with_a_journaled_reply_is_sent_again(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    write(tmp_path)
    log, chance, killed = tmp_path / "log", random.Random(7), 0
    with serving(log) as url:
        write_recipe(tmp_path, url)
        for number in range(KILLS):
            until = (number + chance.random()) * ROWS / (KILLS + 1)
            with run(tmp_path, "out", how) as driver:
                while driver.poll() is None and len(log.read_text().splitlines()) < until:
                    time.sleep(0.005)
                killed += driver.poll() is None
        with run(tmp_path, "out", how) as driver:
            _, printed = driver.communicate(timeout=120)
            assert driver.returncode == 0, printed.decode()
        asked = Counter(log.read_text().splitlines())
        with run(tmp_path, "again", ("--inline",)) as driver:
            assert driver.wait(timeout=120) == 0
        assert Counter(log.read_text().splitlines()) == asked
    assert killed
    assert len(asked) == ROWS
    assert sum(asked.values()) - ROWS <= killed * IN_FLIGHT
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def write(base: Path) -> None:
    (base / "data" / "images").mkdir(parents=True)
    for n in range(8):
        (base / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=n))
    rows = [{"caption": f"caption {n}", "image": f"images/{n % 8}.jpg"} for n in range(ROWS)]
    write_json_lines(base / "data" / "0.jsonl", rows)


def write_recipe(base: Path, url: str) -> None:
    step = {"model": MODEL, "endpoint": url, "max_concurrent": IN_FLIGHT,
            "api_key_variable": "VLM_API_KEY"}  # fmt: skip
    (base / "recipe.yaml").write_text(yaml.safe_dump(caption_recipe(steps=[{"recaption": step}])))
