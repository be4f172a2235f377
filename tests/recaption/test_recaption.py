"""The step `recaption` in complete runs, against a real server that answers well and badly."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from curate import recipe as recipes
from curate.engine import plan
from curate.engine.ray import RayExecutor
from manifests import storage
from manifests.errors import EndpointError, RecipeError
from manifests.media import Media, Reference
from manifests.record import Builder
from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from manifests.step import Context, Executor, Reply
from manifests.storage import parts
from recaption.caption.recaption import Recaption
from recaption.client import Client
from recaption.client import client as client_module
from recaption.prompts import load_prompt, prompt_file
from tests.make import make_image, write_json_lines
from tests.recaption.endpoint import KEY, MODEL, Answer, Asked, Endpoint, good, refusal, reply
from tests.runs import (
    caption_recipe,
    curate,
    file_bytes,
    order_pass,
    part_tables,
    row_counts,
    run_engine,
)
from tests.servers import dead_port

TEXTS = [f"a short caption {n}" for n in range(12)]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint().serving() as serving:
        yield serving


@pytest.fixture(autouse=True)
def _without_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_SECONDS", 0.02)


def write(base: Path, texts: list[str] = TEXTS, files: int = 2, **image: Any) -> None:
    (base / "data" / "images").mkdir(parents=True, exist_ok=True)
    for n in range(len(texts)):
        (base / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=n, **image))
    rows = [{"caption": text, "image": f"images/{n}.jpg"} for n, text in enumerate(texts)]
    for number in range(files):
        write_json_lines(base / "data" / f"{number}.jsonl", rows[number::files])


def run(
    base: Path,
    endpoint: Endpoint,
    out: str = "out",
    executor: Executor | None = None,
    retry: bool = False,
    **settings: Any,
) -> RunManifest:
    made = run_engine(recipe(endpoint, **settings), base, base / out, executor, retry)
    assert verify(str(base / out)).faults == []
    return made


def recipe(endpoint: Endpoint, **settings: Any) -> dict[str, Any]:
    step = {"model": MODEL, "endpoint": endpoint.url, **settings}
    return caption_recipe(steps=[{"recaption": step}])


def records(base: Path, made: RunManifest, out: str = "out") -> list[dict[str, Any]]:
    tables = part_tables(base / out, order_pass(made))
    return sorted((r for t in tables for r in t.to_pylist()), key=lambda r: str(r["raw_text"]))


def text_of(row: dict[str, Any]) -> str:
    [text] = [one["text"] for one in row["content"] if one["kind"] == "text"]
    return str(text)


def statuses(base: Path, made: RunManifest) -> dict[str, int]:
    found = [row["recaption.status"] for row in records(base, made)]
    return {one: found.count(one) for one in sorted(found)}


def quarantine(base: Path, out: str = "out") -> list[dict[str, Any]]:
    return parts.read_columns(str(base / out / "quarantine.arrow")).to_pylist()


def journal_files(base: Path) -> list[Path]:
    return sorted((base / "journal").glob("*.replies"))


def test_captions_are_rewritten_and_the_old_text_is_kept(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    made = run(tmp_path, endpoint)
    rows = records(tmp_path, made)
    assert [row["raw_text"] for row in rows] == sorted(TEXTS)
    assert all("with the mark" in text_of(row) for row in rows)
    assert {row["recaption.status"] for row in rows} == {"rewritten"}
    assert {row["recaption.model"] for row in rows} == {"test-vlm-2026"}
    assert {row["recaption.askings"] for row in rows} == {1}
    assert {row["recaption.output_tokens"] for row in rows} == {20}
    assert endpoint.texts == sorted(TEXTS)
    body = endpoint.asked[0].body
    assert (body["model"], body["temperature"], body["seed"]) == (MODEL, 0.6, 0)


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, "out")
    run(tmp_path, endpoint, "again", max_concurrent=3)
    assert len(endpoint.asked) == len(TEXTS)
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_change_of_what_is_dropped_asks_nothing(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: reply("") if a.raw_text == TEXTS[3] else good(a)
    write(tmp_path)
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"empty": 1, "rewritten": 11}
    made = run(tmp_path, endpoint, bad="drop")
    assert row_counts(made)["recaption"] == (12, 11, {"bad reply": 1}, {})
    assert len(endpoint.asked) == 13


@pytest.mark.parametrize(
    "changed",
    [{"model": "other"}, {"revision": "2"}, {"temperature": 0.1}, {"max_tokens": 7}, {"seed": 5},
     {"max_pixels": 500}, {"parameters": {"top_p": 0.5}}],
)  # fmt: skip
def test_what_decides_the_reply_is_asked_again(
    tmp_path: Path, endpoint: Endpoint, changed: dict[str, Any]
) -> None:
    write(tmp_path, TEXTS[:2])
    run(tmp_path, endpoint)
    run(tmp_path, endpoint, "other", **changed)
    assert len(endpoint.asked) == 4


def test_equal_requests_are_asked_once(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.seconds = 0.2
    write(tmp_path, ["the same"] * 6)
    for n in range(6):
        (tmp_path / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=0))
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"rewritten": 6}
    assert len(endpoint.asked) == 1


def test_equal_requests_that_fail_all_fail(tmp_path: Path, endpoint: Endpoint) -> None:
    error = TRANSIENT["server error"]
    endpoint.answer, endpoint.seconds = lambda a: error if "same" in a.raw_text else good(a), 0.2
    write(tmp_path, ["the same"] * 6 + TEXTS[:6], files=1)
    for n in range(6):
        (tmp_path / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=0))
    made = run(tmp_path, endpoint, max_attempts=2)
    assert row_counts(made)["recaption"] == (12, 6, {}, {"ReplyError": 6})
    assert len(endpoint.asked) < 6 + 12


def test_an_image_is_sent_within_the_budget_and_upright(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:3], width=640, height=480)
    turned = Image.open(io.BytesIO(make_image(400, 100, 2)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "data" / "images" / "2.jpg", exif=exif)
    small = make_image(60, 40)
    (tmp_path / "data" / "images" / "1.jpg").write_bytes(small)
    run(tmp_path, endpoint, max_pixels=50_000)
    sizes = {one.raw_text: one.sizes for one in endpoint.asked}
    assert sizes == {TEXTS[0]: [(258, 193)], TEXTS[1]: [(60, 40)], TEXTS[2]: [(100, 400)]}
    assert [one.images[0] for one in endpoint.asked if one.raw_text == TEXTS[1]] == [small]


def test_a_record_with_several_images_sends_them_in_order(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path, TEXTS[:3])
    rows = Builder("made", "interleaved")
    row = rows.add("1", "1", language="de")
    for n in (2, 0, 1):
        row.image(Reference(f"data/images/{n}.jpg"))
    rows.add("2", "2").text("no image here")
    rows.add("3", "3").turn("user", "Hello").turn("assistant", "Hello")
    step = Recaption(model=MODEL, endpoint=endpoint.url)
    client = Client(step, "step recaption", str(tmp_path))
    prompt = load_prompt(prompt_file("caption", ""))
    media = Media(str(tmp_path))
    context = Context(media, lambda data: Reference(""), model=prompt, asker=client)
    batch = rows.table().select(step.reads())
    made = step.measure(batch, context)
    client.close()
    [asked] = endpoint.asked
    images = [(tmp_path / f"data/images/{n}.jpg").read_bytes() for n in (2, 0, 1)]
    assert asked.images == images
    assert "BCP 47 tag de" in asked.text
    assert made.columns["status"].to_pylist() == ["rewritten", "no image", "no image"]
    assert made.errors is not None
    assert made.errors.table["kind"].to_pylist() == [None, None, "RowError"]
    content = made.columns["content"].to_pylist()
    assert [one["kind"] for one in content[0]] == ["image", "image", "image", "text"]
    assert content[1:] == batch["content"].to_pylist()[1:]


def test_an_earlier_raw_text_is_not_overwritten() -> None:
    rows = Builder("made", "caption")
    for key in "12":
        rows.add(key, key).image(Reference("a.jpg")).text("the second")
    table = rows.table()
    raw = pa.array([None, "the first"], pa.string())
    table = table.set_column(table.column_names.index("raw_text"), "raw_text", raw)
    step = Recaption(model=MODEL, endpoint="http://127.0.0.1/v1")
    reply = Reply("the third", "stop", MODEL)
    made = step.answer(table.select(step.reads()), [reply, reply])
    assert made.columns["raw_text"].to_pylist() == ["the second", "the first"]
    assert [c[1]["text"] for c in made.columns["content"].to_pylist()] == ["the third"] * 2


BAD = {
    "empty": lambda a: reply("  \n"),
    "cut off": lambda a: reply("A long desc", finish="length"),
    "content filter": lambda a: reply("", finish="content_filter"),
    "refusal": lambda a: reply("I'm sorry, but I can't help with that."),
    "repetition": lambda a: reply("the tree and the house, " * 200),
    "copy of the text": lambda a: reply(f" {a.raw_text.upper()}\n"),
    "copy of the prompt": lambda a: reply(f"Sure. {a.text}"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_reply_is_asked_again_then_recorded(
    tmp_path: Path, endpoint: Endpoint, fault: str
) -> None:
    bad = {TEXTS[0], TEXTS[1]}

    def answer(asked: Asked) -> Answer:
        is_bad = asked.raw_text == TEXTS[0] or (
            asked.raw_text == TEXTS[1] and asked.body["seed"] == 0
        )
        return BAD[fault](asked) if is_bad else good(asked)

    endpoint.answer = answer
    write(tmp_path, TEXTS[:4])
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {fault: 1, "rewritten": 3}
    rows = {
        text_of(r) if r["raw_text"] is None else r["raw_text"]: r for r in records(tmp_path, made)
    }
    assert text_of(rows[TEXTS[0]]) == TEXTS[0]
    assert rows[TEXTS[0]]["recaption.model"] is None
    assert {t: rows[t]["recaption.askings"] for t in bad} == {TEXTS[0]: 2, TEXTS[1]: 2}
    assert sorted(a.body["seed"] for a in endpoint.asked if a.raw_text in bad) == [0, 0, 1, 1]
    run(tmp_path, endpoint, "again")
    assert len(endpoint.asked) == 6


HALF = reply("half")
TRANSIENT = {
    "busy": refusal(429, "slow down", Retry_After="1"),
    "server error": refusal(500, "internal"),
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


def test_an_endpoint_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    write(tmp_path)
    gone = Endpoint()
    gone.url = f"http://127.0.0.1:{dead_port()}/v1"
    with pytest.raises(EndpointError, match="no reply for"):
        run(tmp_path, gone, max_gone_seconds=0.3, max_attempts=50)


def test_a_key_that_is_not_set_or_pasted_is_refused(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, TEXTS[:2])
    monkeypatch.delenv("VLM_API_KEY", raising=False)
    with pytest.raises(EndpointError, match="the environment variable VLM_API_KEY is not set"):
        run(tmp_path, endpoint, api_key_variable="VLM_API_KEY")
    monkeypatch.setenv("VLM_API_KEY", f"{KEY}\nsecond line")
    with pytest.raises(EndpointError, match="is no key") as raised:
        run(tmp_path, endpoint, api_key_variable="VLM_API_KEY")
    assert KEY not in str(raised.value)
    with pytest.raises(RecipeError, match="never the key itself") as refused:
        run(tmp_path, endpoint, api_key_variable=KEY)
    assert KEY not in str(refused.value)
    assert endpoint.asked == []


def test_an_own_prompt_decides_what_is_asked(tmp_path: Path, endpoint: Endpoint) -> None:
    own = {"name": "mine", "version": 3, "text": "Caption? {raw_text} {language}",
           "without_text": "Caption?", "system": "Be brief."}  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps(own))
    write(tmp_path, ["braces {language} stay", "other"])
    run(tmp_path, endpoint, prompt="mine.yaml")
    asked = sorted(one.text for one in endpoint.asked)
    assert asked[0] == "Be brief.\nCaption? braces {language} stay"
    (tmp_path / "mine.yaml").write_text(json.dumps({**own, "system": "Be long."}))
    run(tmp_path, endpoint, prompt="mine.yaml")
    assert len(endpoint.asked) == 4


def test_a_damaged_journal_is_named_and_its_sound_entries_are_used(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, max_concurrent=1)
    [path] = journal_files(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines = [line for line in lines if b'"key"' in line]
    flipped = bytearray(lines[4])
    flipped[200] ^= 4
    whole = b"".join([*lines[:4], bytes(flipped), *lines[5:]])
    path.write_bytes(whole[: -len(lines[-1]) // 2])
    assert curate(tmp_path, "journal", "journal") == 4
    printed = capsys.readouterr().out
    assert "10 different replies in 1 file" in printed
    assert printed.count("are no complete entry") == 2
    notes = plan.notes(recipes.build(recipe(endpoint), base=str(tmp_path)))
    assert [note.split(": ")[0] for note in notes] == ["recaption", "recaption"]
    assert path.name in notes[0]
    made = run(tmp_path, endpoint, "again")
    assert row_counts(made)["recaption"] == (12, 12, {}, {})
    assert len(endpoint.asked) == 14
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_few_lines_read_the_journal(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:3])
    run(tmp_path, endpoint)
    [path] = journal_files(tmp_path)
    entries = [json.loads(line.split(b" ", 2)[2]) for line in path.read_bytes().splitlines()]
    replies = [json.loads(one["body"]) for one in entries if "body" in one]
    assert all("mark" in one["choices"][0]["message"]["content"] for one in replies)
    assert len(replies) == 3
    assert {key: entries[-1][key] for key in ("asked", "hits")} == {"asked": 3, "hits": 0}


def test_the_journal_lies_on_object_storage(
    tmp_path: Path, endpoint: Endpoint, bucket: str
) -> None:
    write(tmp_path)
    where = f"s3://tars/journal{bucket}"
    run(tmp_path, endpoint, journal=where)
    run(tmp_path, endpoint, "again", journal=where)
    assert len(endpoint.asked) == 12
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
    assert len(storage.names(where)) == 4  # two parts, and the sums of two runs


def test_ray_writes_the_same_bytes_and_keeps_to_one_limit(
    tmp_path: Path, endpoint: Endpoint, ray: None
) -> None:
    endpoint.seconds = 0.05
    write(tmp_path, [f"caption {n}" for n in range(60)], files=4)
    run(tmp_path, endpoint, "inline", journal="one", max_concurrent=5)
    assert endpoint.most <= 5
    endpoint.most = 0
    run(tmp_path, endpoint, "ray", RayExecutor(3), journal="two", max_concurrent=5)
    assert endpoint.most <= 5
    assert len(endpoint.asked) == 120
    assert file_bytes(tmp_path / "inline") == file_bytes(tmp_path / "ray")
    assert os.listdir(tmp_path / "two")


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
        if asked.raw_text == TEXTS[0]:
            return refusal(401, "expired")
        time.sleep(0.5)
        return good(asked)

    endpoint.answer = answer
    write(tmp_path, files=1)
    with pytest.raises(EndpointError, match="does not accept the key"):
        run(tmp_path, endpoint, executor=RayExecutor(2))
    assert len(endpoint.asked) == 4
    endpoint.answer = good
    run(tmp_path, endpoint, executor=RayExecutor(2))
    assert endpoint.texts == sorted([TEXTS[0], *TEXTS])
