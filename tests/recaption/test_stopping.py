"""A client that is stopped sends nothing more, and its threads end at once."""

from __future__ import annotations

import threading
import time

import pytest

from manifests.errors import EndpointError, StorageError
from recaption.caption.recaption import Recaption
from recaption.client import stopping
from recaption.client.stopping import REFUSED, Stopping

FAULT = ConnectionError("refused")


def made(max_outage_seconds: float = 300.0, woken: list[bool] | None = None) -> Stopping:
    step = Recaption(
        model="m", endpoint="http://127.0.0.1:1/v1", max_outage_seconds=max_outage_seconds,
        api_key_variable="VLM_API_KEY",
    )  # fmt: skip
    return Stopping(step, "step recaption", lambda: (woken or []).append(True))


def test_the_first_error_is_kept_and_threads_that_sleep_end() -> None:
    stopped, started = made(), time.monotonic()
    sleeper = threading.Thread(target=stopped.sleep, args=(1e300,))
    sleeper.start()
    first = StorageError("the disk is full")
    assert not stopped.is_stopped
    assert stopped.stop(first) is first
    assert stopped.stop(EndpointError("later")) is first
    sleeper.join(20)
    assert not sleeper.is_alive()
    assert (stopped.is_stopped, stopped.error) == (True, first)
    stopped.sleep(60)
    assert time.monotonic() - started < 20


def test_a_stop_wakes_the_threads_that_wait() -> None:
    woken = [False]
    made(woken=woken).stop(StorageError("the disk is full"))
    assert woken == [False, True]


def test_a_sleep_lasts_as_long_as_asked() -> None:
    started = time.monotonic()
    made().sleep(0.2)
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("ends", ["replied", "refused", None])
def test_an_outage_is_the_time_since_the_first_failure_after_an_answer(
    monkeypatch: pytest.MonkeyPatch, ends: str | None
) -> None:
    now = [0.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    one = made(max_outage_seconds=10)
    one.failed(FAULT)
    now[0] = 10.0
    one.failed(FAULT)
    if ends:
        getattr(one, ends)()
        now[0] = 11.0
        one.failed(FAULT)
        now[0] = 21.0
        one.failed(FAULT)
        assert not one.is_stopped
        now[0] = 22.0
    else:
        now[0] = 11.0
    with pytest.raises(EndpointError, match="no reply for 11 seconds") as raised:
        one.failed(FAULT)
    assert one.error is raised.value
    assert "Check the environment variable VLM_API_KEY. Then run" in raised.value.fix


@pytest.mark.parametrize("answer", ["replied", "found", None])
def test_requests_are_all_refused_if_none_had_a_reply(answer: str | None) -> None:
    one = made()
    if answer:
        getattr(one, answer)()
    counted = [one.has_refused_all() for _ in range(REFUSED + 1)]
    assert counted == [False] * (REFUSED - 1) + [answer is None] * 2
