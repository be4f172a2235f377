"""Replies that are late, refused or missing: what is asked again, what is quarantined, and what
stops the run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from curate.engine.ray import RayExecutor
from manifests.errors import EndpointError, RecipeError
from recaption.client import client as client_module
from recaption.client.stopping import REFUSED
from tests.make import make_image
from tests.recaption.endpoint import KEY, Answer, Asked, Behaviour, Endpoint, good, refusal, reply
from tests.recaption.recaption_runs import TEXTS, quarantine, records, run, statuses, write
from tests.runs import row_counts
from tests.servers import dead_port

HALF = reply("half")
TRANSIENT = {
    "busy": refusal(429, "slow down", Retry_After="1"),
    "server error": refusal(500, "internal"),
    "conflict": refusal(409, "locked"),
    "bad gateway": Answer(502, b"<html><h1>Bad gateway</h1></html>", kind="text/html"),
    "half a reply": HALF._replace(length=len(HALF.body), body=HALF.body[:60]),
    "half of the JSON": HALF._replace(body=HALF.body[:60]),
    "a page": Answer(200, b"<html>Please log in</html>", kind="text/html"),
    "nothing": Answer(200, b""),
    "closed connection": None,
    "no choices": Answer(200, b'{"choices": []}'),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_failure_is_tried_again(tmp_path: Path, endpoint: Endpoint, fault: str) -> None:
    failed: set[str] = set()

    def answer(asked: Asked) -> Answer | None:
        if asked.raw_text in TEXTS[:3] and asked.raw_text not in failed:
            failed.add(asked.raw_text)
            return TRANSIENT[fault]
        return good(asked)

    endpoint.answer = answer
    write(tmp_path)
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"rewritten": 12}
    assert len(endpoint.asked) == 15


@pytest.mark.parametrize("fault", ["server error", "closed connection", "half of the JSON"])
def test_a_record_that_fails_to_the_end_is_asked_again_with_retry(
    tmp_path: Path, endpoint: Endpoint, fault: str
) -> None:
    endpoint.answer = lambda a: TRANSIENT[fault] if a.raw_text == TEXTS[5] else good(a)
    write(tmp_path)
    made = run(tmp_path, endpoint, max_attempts=3)
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})
    [row] = quarantine(tmp_path)
    assert (row["error"], row["later"]) == ("ReplyError", True)
    assert endpoint.texts.count(TEXTS[5]) == 3
    endpoint.answer = good
    made = run(tmp_path, endpoint, max_attempts=3)
    assert len(endpoint.asked) == 14
    made = run(tmp_path, endpoint, retry=True, max_attempts=3)
    assert row_counts(made)["recaption"] == (12, 12, {}, {})
    assert len(endpoint.asked) == 15


@pytest.mark.parametrize("is_dripping", [False, True])
def test_a_slow_reply_is_cut_off_by_the_time_limit(
    tmp_path: Path, endpoint: Endpoint, is_dripping: bool
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.raw_text != TEXTS[0] or endpoint.texts.count(TEXTS[0]) > 1:
            return good(asked)
        if is_dripping:
            return good(asked)._replace(pause=0.1)
        time.sleep(2)
        return good(asked)

    endpoint.answer = answer
    write(tmp_path, TEXTS[:3])
    started = time.monotonic()
    made = run(tmp_path, endpoint, timeout_seconds=0.5)
    assert statuses(tmp_path, made) == {"rewritten": 3}
    assert endpoint.texts.count(TEXTS[0]) == 2
    assert time.monotonic() - started < 20  # a reply that drips would take longer


def test_a_record_that_the_endpoint_refuses_is_quarantined_for_good(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    too_long = refusal(400, "This model's maximum context length is 4096 tokens")
    endpoint.answer = lambda a: too_long if a.raw_text == TEXTS[5] else good(a)
    write(tmp_path)
    made = run(tmp_path, endpoint)
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})
    [row] = quarantine(tmp_path)
    assert row["later"] is False
    assert "maximum context length is 4096 tokens" in row["message"]
    run(tmp_path, endpoint, retry=True)
    assert len(endpoint.asked) == 12


@pytest.mark.parametrize("status", [400, 413, 422])
def test_more_refused_records_than_stop_a_new_run_are_quarantined_beside_accepted_ones(
    tmp_path: Path, endpoint: Endpoint, status: int
) -> None:
    texts = [f"good {n}" for n in range(30)] + [f"too long {n}" for n in range(REFUSED + 4)]
    endpoint.answer = lambda a: good(a) if "good" in a.raw_text else refusal(status, "too long")
    write(tmp_path, texts, files=1)
    for out in ("out", "again"):  # the second run finds the good ones in the journal
        made = run(tmp_path, endpoint, out, max_concurrent=1)
        assert row_counts(made)["recaption"] == (50, 30, {}, {"ReplyError": 20})
    assert "lower `max_pixels`" in quarantine(tmp_path)[0]["message"]
    assert len(endpoint.asked) == 70


def test_a_reply_whose_usage_is_no_number_of_tokens_is_used(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    def answer(asked: Asked) -> Answer:
        body = json.loads(good(asked).body)
        usage = {"prompt_tokens": "12", "completion_tokens": 2.5}
        return Answer(body=json.dumps({**body, "usage": usage}).encode())

    endpoint.answer = answer
    write(tmp_path, TEXTS[:2])
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"rewritten": 2}
    assert {row["recaption.input_tokens"] for row in records(tmp_path, made)} == {None}


def test_an_endpoint_that_puts_a_request_off_is_asked_more_often_than_max_attempts(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    busy = refusal(503, "loading")
    endpoint.answer = lambda a: busy if len(endpoint.asked) < 5 else good(a)
    write(tmp_path, TEXTS[:1])
    made = run(tmp_path, endpoint, max_attempts=2)
    assert statuses(tmp_path, made) == {"rewritten": 1}
    assert len(endpoint.asked) == 5


def test_a_request_that_is_always_put_off_fails_in_the_end(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_PUT_OFF", 5)
    endpoint.answer = lambda a: refusal(503, "loading") if a.raw_text == TEXTS[0] else good(a)
    write(tmp_path, TEXTS[:3])
    made = run(tmp_path, endpoint, max_attempts=2)
    assert row_counts(made)["recaption"] == (3, 2, {}, {"ReplyError": 1})
    assert endpoint.texts.count(TEXTS[0]) == 5


@pytest.mark.parametrize("first", [good, lambda a: refusal(400, "too long")])
def test_an_outage_ends_with_any_answer_to_a_request(
    tmp_path: Path, endpoint: Endpoint, first: Behaviour
) -> None:
    """Each request fails once; the first four take longer together than the limit."""
    failed: set[str] = set()

    def answer(asked: Asked) -> Answer:
        time.sleep(0.2)
        if asked.raw_text not in failed:
            failed.add(asked.raw_text)
            return refusal(500, "internal")
        return first(asked) if asked.raw_text in TEXTS[:4] else good(asked)

    endpoint.answer = answer
    write(tmp_path, TEXTS[:9], files=1)
    run(tmp_path, endpoint, max_concurrent=1, max_outage_seconds=1)
    assert len(endpoint.asked) == 18


def test_a_broken_or_missing_image_fails_its_record_alone(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path, TEXTS[:4])
    (tmp_path / "data/images/1.jpg").write_bytes(make_image(900, 900)[:5000])
    made = run(tmp_path, endpoint, max_pixels=1000)
    assert row_counts(made)["recaption"] == (4, 3, {}, {"MediaError": 1})
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (refusal(401, f"Incorrect API key provided: {KEY}"), "does not accept the key"),
        (refusal(404, "The model does not exist"), "does not know the model"),
        (refusal(429, "You exceeded your quota", "insufficient_quota"), "no money left"),
        (refusal(429, "daily limit", Retry_After="80000"), "asks to wait 80000 seconds"),
        (Answer(307, b"", (("Location", "https://elsewhere/v1"),)), "redirects to"),
    ],
)
def test_a_fatal_answer_stops_the_run_and_keeps_what_was_paid(
    tmp_path: Path,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    fault: str,
) -> None:
    monkeypatch.setenv("VLM_API_KEY", KEY)
    endpoint.answer = lambda a: answer if len(endpoint.asked) > 5 else good(a)
    write(tmp_path, [f"caption {n}" for n in range(40)], files=1)
    settings = {"api_key_variable": "VLM_API_KEY", "max_concurrent": 1}
    with pytest.raises(EndpointError, match=fault) as raised:
        run(tmp_path, endpoint, **settings)
    assert KEY not in repr(raised.value) + str(raised.value)
    assert len(endpoint.asked) == 6
    endpoint.answer = good
    made = run(tmp_path, endpoint, **settings)
    assert statuses(tmp_path, made) == {"rewritten": 40}
    assert len(endpoint.asked) == 41
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEY}"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_requests_that_are_all_refused_stop_the_run(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: refusal(400, "unknown parameter 'seed'")
    write(tmp_path, [f"caption {n}" for n in range(60)])
    with pytest.raises(EndpointError, match="refused the first 16 requests"):
        run(tmp_path, endpoint, max_concurrent=2)
    assert len(endpoint.asked) <= 18


def test_an_endpoint_that_answers_no_request_stops_the_run(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda a: refusal(500, "image input is not supported")  # llama.cpp
    write(tmp_path, [f"caption {n}" for n in range(60)])
    fault = "answered none of the first 16 requests .HTTP 500: image input is not supported"
    with pytest.raises(EndpointError, match=fault):
        run(tmp_path, endpoint, max_attempts=2)
    endpoint.answer = good
    assert statuses(tmp_path, run(tmp_path, endpoint, max_attempts=2)) == {"rewritten": 60}


def test_requests_that_fail_after_a_reply_do_not_stop_the_run(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    def answer(asked: Asked) -> Answer:
        return refusal(500, "internal") if 1 < len(endpoint.asked) < 40 else good(asked)

    endpoint.answer = answer
    write(tmp_path, [f"caption {n}" for n in range(40)], files=1)
    made = run(tmp_path, endpoint, max_attempts=2, max_concurrent=1)
    assert row_counts(made)["recaption"] == (40, 21, {}, {"ReplyError": 19})


@pytest.mark.usefixtures("without_long_waits")
def test_an_endpoint_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    write(tmp_path)
    gone = Endpoint()
    gone.url = f"http://127.0.0.1:{dead_port()}/v1"
    with pytest.raises(EndpointError, match="no reply for"):
        run(tmp_path, gone, max_outage_seconds=0.3, max_attempts=50)


def test_a_key_that_is_not_set_or_pasted_is_refused(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TEXTS[:2])
    monkeypatch.delenv("VLM_API_KEY", raising=False)
    with pytest.raises(EndpointError, match="the environment variable VLM_API_KEY is not set"):
        run(tmp_path, endpoint, api_key_variable="VLM_API_KEY")
    monkeypatch.setenv("VLM_API_KEY", f"{KEY}\nsecond line")
    with pytest.raises(EndpointError, match="has no valid key") as raised:
        run(tmp_path, endpoint, api_key_variable="VLM_API_KEY")
    assert KEY not in str(raised.value)
    with pytest.raises(RecipeError, match="never the key itself") as refused:
        run(tmp_path, endpoint, api_key_variable=KEY)
    assert KEY not in str(refused.value)
    assert endpoint.asked == []


def test_a_fatal_answer_on_ray_keeps_what_was_paid(
    tmp_path: Path, endpoint: Endpoint, ray: None
) -> None:
    endpoint.answer = lambda a: refusal(401, "expired") if len(endpoint.asked) > 9 else good(a)
    write(tmp_path, [f"caption {n}" for n in range(30)], files=1)
    with pytest.raises(EndpointError, match="does not accept the key"):
        run(tmp_path, endpoint, executor=RayExecutor(2), max_concurrent=1)
    assert len(endpoint.asked) == 10
    endpoint.answer = good
    run(tmp_path, endpoint, executor=RayExecutor(2), max_concurrent=1)
    assert len(endpoint.asked) == 31


def test_replies_in_flight_are_awaited_when_the_run_stops(
    tmp_path: Path, endpoint: Endpoint, ray: None
) -> None:
    def answer(asked: Asked) -> Answer:
        is_refused = asked is endpoint.asked[0]
        while is_refused and len(endpoint.asked) < 4:  # until the others are in flight
            time.sleep(0.01)
        time.sleep(0 if is_refused else 0.5)
        return refusal(401, "expired") if is_refused else good(asked)

    endpoint.answer = answer
    write(tmp_path, files=1)
    with pytest.raises(EndpointError, match="does not accept the key"):
        run(tmp_path, endpoint, executor=RayExecutor(2))
    assert len(endpoint.asked) == 4
    endpoint.answer = good
    run(tmp_path, endpoint, executor=RayExecutor(2))
    assert endpoint.texts == sorted([endpoint.asked[0].raw_text, *TEXTS])
