"""A run that asks a model is killed at random moments: no request whose reply is in the journal is
sent again, and the shards are the same bytes."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.recaption.endpoint import KEY
from tests.recaption.killed_runs import IN_FLIGHT, ROWS, run, serving, write, write_recipe
from tests.runs import file_bytes

KILLS = int(os.environ.get("CURATE_KILLS", "2"))


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
