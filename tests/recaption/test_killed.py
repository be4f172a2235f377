"""A run that asks a model is killed at random moments: no request whose reply is in the journal is
sent again, and the shards are the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.make import make_image, write_json_lines
from tests.recaption.endpoint import MODEL
from tests.runs import caption_recipe, environment, file_bytes

ROWS, IN_FLIGHT = 300, 8
KILLS = int(os.environ.get("CURATE_KILLS", "3"))


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


def start(base: Path, out: str, how: tuple[str, ...]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", out, "-q", *how]
    return subprocess.Popen(
        command, cwd=base, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", [("--inline",), ("--workers", "2")])
def test_no_request_with_a_journaled_reply_is_sent_again(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    for n in range(8):
        (tmp_path / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=n))
    rows = [{"caption": f"caption {n}", "image": f"images/{n % 8}.jpg"} for n in range(ROWS)]
    write_json_lines(tmp_path / "data" / "0.jsonl", rows)
    log, chance = tmp_path / "log", random.Random(7)
    with serving(log) as url:
        step = {"model": MODEL, "endpoint": url, "max_concurrent": IN_FLIGHT}
        (tmp_path / "recipe.yaml").write_text(
            yaml.safe_dump(caption_recipe(steps=[{"recaption": step}]))
        )
        killed = 0
        for number in range(KILLS):
            running = start(tmp_path, "out", how)
            until = (number + chance.random()) * ROWS / (KILLS + 1)
            while running.poll() is None and len(log.read_text().splitlines()) < until:
                time.sleep(0.005)
            killed += running.poll() is None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            time.sleep(1 if how != ("--inline",) else 0.1)  # until the workers of Ray have ended
        running = start(tmp_path, "out", how)
        _, printed = running.communicate(timeout=120)
        assert running.returncode == 0, printed.decode()
        asked = Counter(log.read_text().splitlines())
        running = start(tmp_path, "again", ("--inline",))
        assert running.wait(timeout=120) == 0
        assert Counter(log.read_text().splitlines()) == asked
    assert killed
    assert len(asked) == ROWS
    twice = sum(count - 1 for count in asked.values())
    assert twice <= killed * IN_FLIGHT
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
