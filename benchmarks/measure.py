"""Cost of a command and of all processes that it starts: CPU seconds and largest memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """CPU seconds of all processes; peak memory in MB of the largest process, of the largest worker
    of Ray, and of the process of the command itself."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    worker_peak_mb: float
    command_peak_mb: float
    output: str


def cost(command: list[str], cwd: Path | str = ".", check: bool = True) -> Cost:
    """Run a command and read, every 50 ms, the statistics of all processes that it started.

    They are recognised by a variable of the environment that they inherit.
    """
    mark = uuid.uuid4().hex
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, "BENCHMARK_MARK": mark}, stdout=log, stderr=log
        )
        seen: dict[int, float] = {}
        peak = {"any": 0.0, "worker": 0.0, "command": 0.0}
        while child.poll() is None:
            _read_statistics(mark, seen, peak)
            with contextlib.suppress(OSError, IndexError):
                command_mb = _peak_mb(Path(f"/proc/{child.pid}"))
                peak["command"] = max(peak["command"], command_mb)
            time.sleep(0.05)
        log.seek(0)
        output = log.read()
    if check and child.returncode:
        raise RuntimeError(f"{command} ended with {child.returncode}:\n{output[-2000:]}")
    return Cost(sum(seen.values()), time.monotonic() - start, peak["any"], peak["worker"],
                peak["command"], output)  # fmt: skip


def _read_statistics(mark: str, seen: dict[int, float], peak: dict[str, float]) -> None:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            pid = int(entry.name)
            if pid not in seen and mark.encode() not in (entry / "environ").read_bytes():
                continue
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            seen[pid] = (int(fields[11]) + int(fields[12])) / _TICK
            mb = _peak_mb(entry)
            peak["any"] = max(peak["any"], mb)
            if b"ray::" in (entry / "cmdline").read_bytes():
                peak["worker"] = max(peak["worker"], mb)


def _peak_mb(process: Path) -> float:
    for line in (process / "status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0
