"""Opening and compacting a large journal: `python -m benchmarks.requests_journal [REPLIES]`.

The entries have 600 bytes each, in 100 files. CPU seconds, and the memory that the process gains.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recaption.client.compaction import compact
from recaption.client.entries import encoded
from recaption.client.journal import Journal

FILES, BODY, LOOKUPS = 100, 450, 10_000


def main(replies: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            _write(Path(folder) / f"{number:03d}.replies", range(number, replies, FILES))
        _print(folder, replies, f"{FILES} files")
        started = time.process_time()
        compact(folder)
        print(f"compacting: {time.process_time() - started:.1f} s, peak {_peak_mb():.0f} MiB")
        _print(folder, replies, "compacted")


def _key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def _write(path: Path, numbers: range) -> None:
    about = {"model": "Qwen2.5-VL-32B-Instruct", "prompt": "caption 1", "seconds": 1.234}
    with path.open("wb") as file:
        for number in numbers:
            entry = {
                "v": 1,
                "key": _key(number).hex(),
                "at": 1.5e9 + number,
                "status": 200,
                **about,
            }
            file.write(encoded({**entry, "input_tokens": 900, "body": "x" * BODY}))


def _print(folder: str, replies: int, what: str) -> None:
    """Open the journal in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.requests_journal", "open", folder, str(replies)]
    print(f"{what}: {subprocess.run(command, check=True, capture_output=True, text=True).stdout}")


def _open(folder: str, replies: int) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins with what is used now
    before, started = _peak_mb(), time.process_time()
    journal = Journal(folder, lambda entry: None, "a run")
    seconds = time.process_time() - started
    grown = _peak_mb() - before
    chance, started = random.Random(1), time.process_time()
    for _ in range(LOOKUPS):
        assert journal.get(_key(chance.randrange(replies)))
    each = 1e6 * (time.process_time() - started) / LOOKUPS
    print(f"opened in {seconds:.1f} s, at most {grown:.0f} MiB, {each:.0f} us to read a reply")


def _peak_mb() -> float:
    [line] = [one for one in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in one]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["open"]:
        _open(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
