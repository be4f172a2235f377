"""Answers of real servers and proxies that are not as OpenAI documents them, over HTTP in complete
runs: each in the shape of a public report. The journal is read with `json` alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import EndpointError, RecipeError
from recaption.client.answers import NoReplyError, meant_status, reply_of
from tests.recaption.endpoint import Answer, Asked, Endpoint, good, refusal
from tests.recaption.recaption_runs import (
    TEXTS,
    journal_files,
    quarantine,
    records,
    run,
    statuses,
    text_of,
    write,
)
from tests.runs import row_counts

TEXT = "A red barn stands in a field of wheat under dark clouds."
BAD = TEXTS[3]


def body(finish: str = "stop", usage: Any = None, **message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"content": TEXT, **message}}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode()


def asked_with(base: Path, endpoint: Endpoint, answer: Answer, **settings: Any) -> Any:
    """A run in which one record is answered with `answer`, and the others well."""
    endpoint.answer = lambda asked: answer if asked.raw_text == BAD else good(asked)
    write(base)
    return run(base, endpoint, **settings)


def paid(base: Path) -> list[dict[str, Any]]:
    lines = [line for path in journal_files(base) for line in path.read_bytes().splitlines()]
    entries = [json.loads(line.split(b" ", 2)[2]) for line in lines]
    return [entry for entry in entries if "key" in entry]


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "The user wants a caption."}]},
    {"type": "text", "text": TEXT[:20]},
    {"type": "text", "text": TEXT[20:]},
]
SECOND = {"index": 1, "message": {"content": "Another text, of the second choice of the reply."}}
ACCEPTED = {
    "parts (ragflow#14805)": Answer(body=body(content=PARTS)),
    "a byte order mark": Answer(body=b"\xef\xbb\xbf" + body()),
    "NaN (sglang#5984)": Answer(body=body().replace(b'"model"', b'"x": [NaN, -Infinity], "model"')),
    "choices in another order": Answer(
        body=body().replace(b'"choices": [', b'"choices": [' + json.dumps(SECOND).encode() + b", ")
    ),
    "gzip (void#426)": Answer(body=gzip.compress(body()), headers=(("Content-Encoding", "gzip"),)),
}


@pytest.mark.parametrize("report", ACCEPTED)
def test_an_answer_in_another_form_is_read_and_paid_for_once(
    tmp_path: Path, endpoint: Endpoint, report: str
) -> None:
    made = asked_with(tmp_path, endpoint, ACCEPTED[report])
    assert statuses(tmp_path, made) == {"rewritten": 12}
    [row] = [row for row in records(tmp_path, made) if row["raw_text"] == BAD]
    assert text_of(row) == TEXT
    assert len(endpoint.asked) == len(paid(tmp_path)) == 12


@pytest.mark.parametrize(
    ("read", "written", "known"),
    [
        (-5000, -5, (None, None)),
        (100.0, 37.25, (100, None)),  # easyllm#40
        ("100", "20", (None, None)),
        (2**40, 1e300, (None, None)),
        (True, [1], (None, None)),
        (0, 10**9, (0, 10**9)),
    ],
)
def test_numbers_of_tokens_that_are_no_counts_are_counted_here(
    tmp_path: Path, endpoint: Endpoint, read: Any, written: Any, known: tuple[Any, Any]
) -> None:
    usage = {"prompt_tokens": read, "completion_tokens": written}
    prices = {"input": 1, "output": 1}
    made = asked_with(tmp_path, endpoint, Answer(body=body(usage=usage)), prices=prices)
    assert statuses(tmp_path, made) == {"rewritten": 12}
    [row] = [row for row in records(tmp_path, made) if row["raw_text"] == BAD]
    assert (row["recaption.input_tokens"], row["recaption.output_tokens"]) == known
    assert len(endpoint.asked) == len(paid(tmp_path)) == 12
    [entry] = [entry for entry in paid(tmp_path) if TEXT in entry["body"]]
    assert entry["money"] > 0
    assert ("counted_by" in entry) == (None in known)


@pytest.mark.parametrize("usage", [[1], "none", 5])
def test_usage_that_is_no_object_is_no_fault(usage: Any) -> None:
    assert reply_of(body(usage=usage).decode()).input_tokens is None


@pytest.mark.parametrize("finish", ["abort", "error", "insufficient_system_resource"])
def test_a_text_that_the_server_interrupted_is_asked_for_again(
    tmp_path: Path, endpoint: Endpoint, finish: str
) -> None:
    """vllm#57082, sglang#2956: status 200, and a text that ends anywhere."""

    def answer(asked: Asked) -> Answer:
        is_first = endpoint.texts.count(BAD) == 1
        return Answer(body=body(finish)) if asked.raw_text == BAD and is_first else good(asked)

    endpoint.answer = answer
    write(tmp_path)
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"rewritten": 12}
    assert (len(endpoint.asked), len(paid(tmp_path))) == (13, 12)
    assert all(TEXT not in entry["body"] for entry in paid(tmp_path))


@pytest.mark.parametrize(
    ("finish", "fault"),
    [
        ("max_tokens", "cut off"),
        ("MAX_TOKENS", "cut off"),
        ("model_length", "cut off"),
        ("SAFETY", "content filter"),
        ("eos_token", "rewritten"),
        (None, "rewritten"),
    ],
)
def test_the_reasons_of_other_endpoints_for_an_end_are_known(
    tmp_path: Path, endpoint: Endpoint, finish: str, fault: str
) -> None:
    made = asked_with(tmp_path, endpoint, Answer(body=body(finish)))
    good_ones = 12 if fault == "rewritten" else 11
    assert statuses(tmp_path, made) == {"rewritten": good_ones, fault: 12 - good_ones or 12}


BROKEN = {
    "half of a surrogate pair": body(content=TEXT + "Q").replace(b"Q", b"\\ud83d"),
    "bytes that are not UTF-8": body(content=TEXT + "Q").replace(b"Q", b"\xff"),
    "U+FFFD (vllm#400)": body(content=TEXT + "\ufffd"),
    "NUL": body(content=TEXT + "\0 and more"),
    "an escape sequence": body(content=TEXT + "\x1b[31m"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_text_with_broken_characters_is_no_caption(
    tmp_path: Path, endpoint: Endpoint, what: str
) -> None:
    made = asked_with(tmp_path, endpoint, Answer(body=BROKEN[what]))
    assert statuses(tmp_path, made) == {"broken characters": 1, "rewritten": 11}
    assert len(endpoint.asked) == len(paid(tmp_path)) == 13


def test_a_text_of_invisible_characters_is_empty(tmp_path: Path, endpoint: Endpoint) -> None:
    made = asked_with(tmp_path, endpoint, Answer(body=body(content="\u200b\u00a0\ufeff" * 20)))
    assert statuses(tmp_path, made) == {"empty": 1, "rewritten": 11}


HINTS = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize("form", ["informational answers before it", "201"])
def test_an_answer_of_another_kind_than_200_is_used(
    tmp_path: Path, endpoint: Endpoint, form: str
) -> None:
    """RFC 9110, 15.2: a client must be able to parse informational answers before the final one."""
    answer = Answer(201, body()) if form == "201" else Answer(body=body(), before=HINTS)
    made = asked_with(tmp_path, endpoint, answer)
    assert statuses(tmp_path, made) == {"rewritten": 12}
    assert len(endpoint.asked) == len(paid(tmp_path)) == 12


def test_answers_without_an_end_of_informational_ones_fail(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    answer = Answer(body=body(), before=HINTS * 60)
    made = asked_with(tmp_path, endpoint, answer, max_attempts=1)
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})
    assert "informational" in quarantine(tmp_path)[0]["message"]


def test_an_answer_204_has_no_reply_and_is_asked_for_again(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    made = asked_with(tmp_path, endpoint, Answer(204), max_attempts=2)
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})
    assert len(endpoint.asked) == 13


def test_an_endpoint_may_have_an_ipv6_address(tmp_path: Path) -> None:
    write(tmp_path, TEXTS[:2])
    with Endpoint(address="::1").serving() as endpoint:
        assert statuses(tmp_path, run(tmp_path, endpoint)) == {"rewritten": 2}
        [host] = {one.headers["host"] for one in endpoint.asked}
        assert f"http://{host}/v1" == endpoint.url


def error(code: object, message: str = "no", **more: object) -> str:
    return json.dumps({"error": {"message": message, "code": code, **more}})


@pytest.mark.parametrize(
    ("status", "text", "meant"),
    [
        (200, error(429, "Rate limit exceeded: free-models-per-day"), 429),  # aider#3550
        (200, error(502, "This content was flagged"), 502),  # mini-swe-agent#902
        (200, error("401"), 401),
        (200, '{"object": "error", "message": "too long", "code": 400}', 400),  # vllm#12886
        (200, error("something"), 200),
        (200, error(7), 200),
        (200, body().decode(), 200),
        (200, "<html>", 200),
        (200, "[" * 5000, 200),
        (200, "[1]", 200),
        (400, '{"code": "Arrearage", "message": "account"}', 402),  # spring-ai-alibaba#1146
        (400, error("Arrearage", "Access denied, please make sure your account is ..."), 402),
        (400, error("data_inspection_failed"), 400),
        (400, error("content_filter"), 400),
        (400, error("context_length_exceeded"), 400),
        (400, error(None), 400),
        (403, error(403, "Your chosen model requires moderation and your input was flagged"), 400),
        (403, error(403, "forbidden"), 403),
        (429, error("insufficient_quota"), 402),
        (429, error("billing_not_active"), 402),
        (429, error("rate_limit_exceeded"), 429),
        (500, "", 500),
    ],
)
def test_the_status_that_an_answer_means(status: int, text: str, meant: int) -> None:
    assert meant_status(status, text) == meant


def test_an_error_with_status_200_is_no_reply_that_is_asked_for_six_times(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    too_long = Answer(body=error(400, "maximum context length is 4096").encode())
    made = asked_with(tmp_path, endpoint, too_long)
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})
    assert quarantine(tmp_path)[0]["later"] is False
    assert len(endpoint.asked) == 12


def test_an_account_without_money_stops_the_run_though_the_status_is_400(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path, [f"caption {n}" for n in range(40)], files=1)
    endpoint.answer = lambda a: (
        refusal(400, "x", "Arrearage") if len(endpoint.asked) > 5 else good(a)
    )
    with pytest.raises(EndpointError, match="no money left"):
        run(tmp_path, endpoint, max_concurrent=1)
    assert len(endpoint.asked) == 6
    endpoint.answer = good
    assert statuses(tmp_path, run(tmp_path, endpoint)) == {"rewritten": 40}


def test_one_record_that_is_moderated_does_not_stop_the_run(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    made = asked_with(tmp_path, endpoint, refusal(403, "your input was flagged by moderation"))
    assert row_counts(made)["recaption"] == (12, 11, {}, {"ReplyError": 1})


def test_an_endpoint_that_only_sends_events_stops_the_run(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda a: Answer(body=b'data: {"choices": []}\n\ndata: [DONE]\n\n')
    write(tmp_path, [f"caption {n}" for n in range(60)])
    with pytest.raises(EndpointError, match=r"(its|of the) first 16"):
        run(tmp_path, endpoint, max_concurrent=2)
    assert len(endpoint.asked) <= 18


@pytest.mark.parametrize("key", ["EMPTY", "a"])
def test_a_placeholder_for_a_key_changes_no_reply(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("VLM_API_KEY", key)
    text = "An EMPTY barn stands in a field of wheat."
    made = asked_with(
        tmp_path, endpoint, Answer(body=body(content=text)), api_key_variable="VLM_API_KEY"
    )
    assert text in map(text_of, records(tmp_path, made))
    assert len(endpoint.asked) == 12


@pytest.mark.parametrize(
    "text", ["{}", '{"choices": null}', '{"choices": [{"text": "x"}]}', body(content=5).decode()]
)
def test_a_body_without_a_reply_is_named(text: str) -> None:
    with pytest.raises(NoReplyError, match="is not a reply"):
        reply_of(text)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://127.0.0.1:1/v1/chat/completions", "or end with /chat/completions"),
        ("http://127.0.0.1:99999/v1", "Port out of range"),
        ("http:///v1", "no valid host"),
        (f"http://{'a' * 70}.test/v1", "no valid host"),
        ("http://127.0.0.1/v 1", "has a space"),
        ("http://127.0.0.1/v1#x", "a fragment"),
    ],
)
def test_an_address_to_which_no_request_can_be_sent_is_refused(
    tmp_path: Path, endpoint: Endpoint, address: str, fault: str
) -> None:
    write(tmp_path, TEXTS[:2])
    endpoint.url = address
    with pytest.raises(RecipeError, match=fault):
        run(tmp_path, endpoint)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"stop": {"a", "b"}}, "cannot be written as JSON"),
        ({"top_k": 2**70}, "cannot be written as JSON"),
    ],
)
def test_parameters_that_are_no_json_are_refused(
    tmp_path: Path, endpoint: Endpoint, parameters: dict[str, object], fault: str
) -> None:
    write(tmp_path, TEXTS[:2])
    with pytest.raises(RecipeError, match=fault):
        run(tmp_path, endpoint, parameters=parameters)
    assert endpoint.asked == []


def test_parameters_may_have_numbers_as_keys(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:2])
    run(tmp_path, endpoint, parameters={"logit_bias": {50256: -100}})
    assert endpoint.asked[0].body["logit_bias"] == {"50256": -100}


@pytest.mark.parametrize(
    ("end", "path"),
    [
        ("/", "/v1/chat/completions"),
        ("\n", "/v1/chat/completions"),
        ("?api-version=2024-02-01", "/v1/chat/completions?api-version=2024-02-01"),  # ax#19
    ],
)
def test_the_path_of_an_endpoint_may_end_with_a_slash_or_a_query(
    tmp_path: Path, endpoint: Endpoint, end: str, path: str
) -> None:
    write(tmp_path, TEXTS[:2])
    endpoint.url += end
    run(tmp_path, endpoint)
    assert {one.path for one in endpoint.asked} == {path}
