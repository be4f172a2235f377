"""A run that asks a model is killed at random moments: no request whose reply is in the journal is
sent again, and the shards are the same bytes.

CURATE_KILLS is the number of kills, 2 by default, and CURATE_KILL_ROWS that of requests, 300.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from recaption.client.level import START
from tests.processes import marked_processes
from tests.recaption.endpoint import KEY, Endpoint
from tests.recaption.killed_runs import IN_FLIGHT, ROWS, run, serving, write, write_recipe
from tests.recaption.recaption_runs import journal_files
from tests.runs import file_bytes

KILLS = int(os.environ.get("CURATE_KILLS", "2"))
VICTIMS = ("ray::Holder", "raylet/raylet", "curate")
"""By turns, on Ray; without it there is only the driver."""


@pytest.mark.parametrize("how", [("--inline",), ("--workers", "2")])
def test_no_request_with_a_journaled_reply_is_sent_again(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    write(tmp_path)
    log, chance, killed = tmp_path / "log", random.Random(7), 0
    victims = 0
    with serving(log) as url:
        write_recipe(tmp_path, url)
        for number in range(KILLS):
            until = (number + chance.random()) * ROWS / (KILLS + 1)
            mark = uuid.uuid4().hex
            with run(tmp_path, "out", how, mark) as driver:
                while driver.poll() is None and len(log.read_text().splitlines()) < until:
                    time.sleep(0.005)
                killed += driver.poll() is None
                if "--workers" in how:
                    victims += kill(mark, VICTIMS[number % len(VICTIMS)])
                    time.sleep(chance.random())  # what is left goes on; then all is killed
        with run(tmp_path, "out", how) as driver:
            _, printed = driver.communicate(timeout=600)
            assert driver.returncode == 0, printed.decode()
        asked = Counter(log.read_text().splitlines())
        with run(tmp_path, "again", ("--inline",)) as driver:
            assert driver.wait(timeout=600) == 0
        assert Counter(log.read_text().splitlines()) == asked
    assert killed
    assert victims > 0 or "--inline" in how
    killed += victims
    assert len(asked) == ROWS
    assert sum(asked.values()) - ROWS <= killed * IN_FLIGHT
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def kill(mark: str, name: str) -> bool:
    """Kill a process of a run by a part of its command; whether there is one."""
    for pid in marked_processes(mark):
        with contextlib.suppress(OSError):
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def test_ctrl_c_awaits_the_replies_in_flight_and_a_second_one_does_not(tmp_path: Path) -> None:
    write(tmp_path)
    slow = Endpoint(seconds=20.0)
    with slow.serving():
        write_recipe(tmp_path, slow.url)
        with run(tmp_path, "out", ("--inline",)) as driver:
            while len(slow.asked) < START:
                time.sleep(0.01)
            driver.send_signal(signal.SIGINT)
            time.sleep(2)
            assert driver.poll() is None
            driver.send_signal(signal.SIGINT)
            _, printed = driver.communicate(timeout=10)
        assert (driver.returncode, len(slow.asked)) == (130, START), printed.decode()
        slow.seconds = 0.5
        with run(tmp_path, "out", ("--inline",)) as driver:
            while len(slow.asked) < 2 * START:
                time.sleep(0.01)
            driver.send_signal(signal.SIGINT)
            driver.communicate(timeout=30)
    assert len(replies(tmp_path)) == len(slow.asked) - START


def replies(base: Path) -> list[str]:
    lines = [line for p in journal_files(base) for line in p.read_bytes().splitlines()]
    entries = [json.loads(line.split(b" ", 2)[2]) for line in lines]
    return [entry["key"] for entry in entries if "key" in entry]
