"""What tests share: where real data lies, one Ray for the session, small images made here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REAL = Path(os.environ.get("CURATE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real third-party data; tests that use it are skipped where it is not at hand."""
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}: set CURATE_DATA to a folder that holds it")
    return REAL


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One Ray for a file of tests; executors find it running and leave it so.

    Not for the whole session: its workers have the folder it was started in, and commands that
    tests give with relative paths start one of their own.
    """
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, logging_level="ERROR")
    yield
    ray.shutdown()
