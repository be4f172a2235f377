"""The client: a limit that finds itself, kept connections, and what it costs."""

from __future__ import annotations

import itertools
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from manifests.media import Media
from manifests.step import Message, Reply, Request
from recaption.caption.recaption import Recaption
from recaption.client import Client
from recaption.client.limiter import Limiter
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, good, refusal


def ask(base: Path, endpoint: Endpoint, requests: int, **settings: object) -> Client:
    """Ask so many different questions without images; all are answered."""
    step = Recaption(model=MODEL, endpoint=endpoint.url, **settings)  # type: ignore[arg-type]
    client = Client(step, "step recaption", str(base))
    asked = [Request((Message("user", (f"question {n}",)),)) for n in range(requests)]
    replies = client.ask(asked, Media(str(base)), lambda request, reply: None)
    client.close()
    assert all(isinstance(reply, Reply) for reply in replies)
    return client


class Sustains:
    """Answers `most` requests at once, and the others with 429."""

    def __init__(self, most: int) -> None:
        self.most, self.busy, self.refused = most, 0, list[bool]()
        self.lock, self.wait = threading.Lock(), threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        with self.lock:
            is_over = self.busy >= self.most
            self.refused.append(is_over)
            if is_over:
                return refusal(429, "too many requests")
            self.busy += 1
        self.wait.wait(0.02)
        with self.lock:
            self.busy -= 1
        return good(asked)


def test_the_limit_finds_what_the_endpoint_sustains(tmp_path: Path) -> None:
    sustains = Sustains(8)
    with Endpoint(sustains).serving() as endpoint:
        client = ask(tmp_path, endpoint, 1500, max_concurrent=64)
    assert 6 <= client.limit <= 9
    settled = sustains.refused[len(sustains.refused) // 2 :]
    assert sum(settled) / len(settled) < 0.02
    assert len(sustains.refused) < 1700


def test_there_are_never_more_requests_than_the_cap(tmp_path: Path) -> None:
    with Endpoint(seconds=0.01).serving() as endpoint:
        ask(tmp_path, endpoint, 200, max_concurrent=6)
        assert endpoint.most <= 6


def test_of_requests_that_were_in_flight_together_one_lowers_the_limit() -> None:
    limiter = Limiter(64)
    sent = [limiter.acquire(lambda: False) for _ in range(4)]
    for one in sent:
        assert one is not None
        limiter.busy(one)
        limiter.release(one)
    assert limiter.limit == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed_by_all_requests(tmp_path: Path, form: str) -> None:
    times: list[float] = []

    def answer(asked: Asked) -> Answer:
        times.append(time.monotonic())
        if len(times) == 5:
            seconds = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
            return refusal(429, "wait", Retry_After=seconds)
        return good(asked)

    with Endpoint(answer).serving() as endpoint:
        ask(tmp_path, endpoint, 40, max_concurrent=1)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps[4] >= 1
    assert sum(gaps) - gaps[4] < 1


def test_a_time_out_lowers_the_limit(tmp_path: Path) -> None:
    late = threading.Event()

    def answer(asked: Asked) -> Answer:
        if len(endpoint.asked) <= 4:
            late.wait(2)
        return good(asked)

    with Endpoint(answer).serving() as endpoint:
        client = ask(tmp_path, endpoint, 4, max_concurrent=64, timeout_seconds=0.3)
        late.set()
    assert len(endpoint.asked) == 8
    assert client.limit < 4


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(tmp_path: Path) -> None:
    with Endpoint(idle_seconds=0.02).serving() as endpoint:
        step = Recaption(model=MODEL, endpoint=endpoint.url, max_concurrent=1, max_attempts=1)
        client = Client(step, "step recaption", str(tmp_path))
        for n in range(3):
            request = Request((Message("user", (f"question {n}",)),))
            [reply] = client.ask([request], Media(), lambda request, reply: None)
            assert isinstance(reply, Reply)
            time.sleep(0.2)
        client.close()
    assert len(endpoint.asked) == 3


def test_structured_output_and_parameters_are_sent(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    request = Request((Message("user", ("Rate it.",)),), "rate 1", schema, {"top_k": 3})
    with Endpoint().serving() as endpoint:
        step = Recaption(model=MODEL, endpoint=endpoint.url, max_tokens=None)
        client = Client(step, "step recaption", str(tmp_path))
        client.ask([request, None], Media(), lambda request, reply: None)
        client.close()
    [asked] = endpoint.asked
    assert asked.body == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Rate it."}],
        "temperature": 0.6,
        "seed": 0,
        "top_k": 3,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": schema},
        },
    }
