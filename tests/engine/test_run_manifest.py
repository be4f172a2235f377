"""What a manifest states about the time of a run."""

from __future__ import annotations

import time

import pytest

from curate.engine.run_manifest import Start


def test_a_clock_that_is_set_back_makes_no_negative_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Start.now()
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start.time))
    time.sleep(0.05)
    monkeypatch.setattr(time, "time", lambda: start.time - 3600)
    made = start.seconds_since()
    assert made["started"] == began
    assert 0.05 <= made["seconds"] < 60
    assert 0 <= made["driver_cpu_seconds"] < 60
