"""The step `embed_endpoint`, over HTTP, with servers that answer well and badly."""

from __future__ import annotations

import base64
import re
import signal
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from clustering.embed.embed_endpoint import EmbedEndpoint
from manifests.errors import InputError
from manifests.media import Media
from manifests.step import Context, Measured
from recaption.client import Client
from tests.filters.rows import no_blobs, text_records
from tests.make import make_image, write_json_lines
from tests.processes import running
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, embedded, embedding, refusal
from tests.recaption.endpoint import reply as chat_reply
from tests.recaption.killed_runs import serving
from tests.runs import caption_recipe, file_bytes, order_pass, part_tables, run_engine

WIDTH = 4
VECTOR = [0.5, -1.0, 2.0, 0.25]


def measured(base: Path, endpoint: Endpoint, *texts: str | None, **settings: Any) -> Measured:
    step = EmbedEndpoint(
        model=MODEL, endpoint=endpoint.url, **{"width": WIDTH, "max_attempts": 2, **settings}
    )
    client = Client(step, "step embed_endpoint", str(base))
    try:
        context = Context(Media(str(base)), no_blobs, client=client)
        return step.measure(text_records(*texts).select(step.reads()), context)
    finally:
        client.close()


def errors(made: Measured) -> list[str | None]:
    assert made.errors is not None
    found: list[str | None] = made.errors.table["message"].to_pylist()
    return found


def test_a_text_is_one_request_and_no_text_is_none(tmp_path: Path) -> None:
    with Endpoint(lambda asked: embedding(VECTOR)).serving() as endpoint:
        made = measured(
            tmp_path, endpoint, "a cat", None, " ", "b" * 99, prefix="query: ", max_chars=5
        )
    assert made.columns["vector"].to_pylist() == [VECTOR, None, None, VECTOR]
    assert sorted(asked.text for asked in endpoint.asked) == ["query: a cat", "query: bbbbb"]
    one = endpoint.asked[0]
    assert one.path == "/v1/embeddings"
    assert one.body == {"model": MODEL, "input": one.text, "encoding_format": "float"}


def test_dimensions_and_base64_are_asked_for_and_read(tmp_path: Path) -> None:
    packed = base64.b64encode(struct.pack("<4f", *VECTOR)).decode()
    with Endpoint(lambda asked: embedding(packed)).serving() as endpoint:
        made = measured(tmp_path, endpoint, "a", dimensions=True, encoding_format="base64")
        bare = measured(tmp_path, endpoint, "a", encoding_format=None)
    assert [one.columns["vector"].to_pylist() for one in (made, bare)] == [[VECTOR], [VECTOR]]
    first, second = (asked.body for asked in endpoint.asked)
    assert (first["dimensions"], first["encoding_format"]) == (WIDTH, "base64")
    assert set(second) == {"model", "input"}


def test_a_text_in_the_journal_is_not_paid_for_again(tmp_path: Path) -> None:
    with Endpoint(lambda asked: embedded(asked, WIDTH)).serving() as endpoint:
        first = measured(tmp_path, endpoint, "a", "b", "a")
        again = measured(tmp_path, endpoint, "c", "b", None, "a")
        measured(tmp_path, endpoint, "a", revision="2")
    assert Counter(asked.text for asked in endpoint.asked) == {"a": 2, "b": 1, "c": 1}
    vectors = first.columns["vector"].to_pylist()
    assert again.columns["vector"].to_pylist()[1:] == [vectors[1], None, vectors[0]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (embedding(VECTOR[:3]), "another number of values than `width`"),
        (embedding([float("nan"), 1, 2, 3]), "NaN or an infinite number"),
        (embedding([0, float("inf"), 2, 3]), "NaN or an infinite number"),
        (embedding([1e5, 1, 2, 3]), "too large for float16"),
        (chat_reply("a cat"), "no embedding"),
        (embedding(VECTOR, count=0), "gave no reply after several attempts.*is not a reply"),
        (embedding(VECTOR, count=2), "gave no reply after several attempts.*is not a reply"),
        (embedding(VECTOR, index=3), "gave no reply after several attempts.*is not a reply"),
        (embedding([None, 1, 2, 3]), "gave no reply after several attempts.*is not a reply"),
        (embedding([10**400, 1, 2, 3]), "gave no reply after several attempts.*is not a reply"),
        (embedding({"a": 1}), "gave no reply after several attempts.*is not a reply"),
        (embedding("AAAA"), "gave no reply after several attempts.*is not a reply"),
        (embedding("?"), "gave no reply after several attempts.*is not a reply"),
        (Answer(body=b'{"data": 5}'), "gave no reply after several attempts.*is not a reply"),
        (refusal(400, "input too long"), "refuses the request.*input too long.*lower `max_chars`"),
        (refusal(500, "oops"), "gave no reply after several attempts.*oops"),
    ],
)
def test_a_bad_answer_quarantines_its_record_alone(
    tmp_path: Path, bad: Answer, message: str
) -> None:
    def answer(asked: Asked) -> Answer:
        return bad if asked.text == "bad" else embedding(VECTOR)

    with Endpoint(answer).serving() as endpoint:
        made = measured(tmp_path, endpoint, "good", "bad", "fine")
    before, error, after = errors(made)
    assert (before, after) == (None, None)
    assert re.search(message, error or "", re.S), error
    assert made.columns["vector"].to_pylist()[::2] == [VECTOR, VECTOR]


def test_a_bad_embedding_is_asked_for_once_more(tmp_path: Path) -> None:
    lock, before = threading.Lock(), list[int]()

    def answer(asked: Asked) -> Answer:
        with lock:
            before.append(1)
        return embedding(VECTOR if len(before) > 1 else VECTOR[:2])

    with Endpoint(answer).serving() as endpoint:
        made = measured(tmp_path, endpoint, "a")
    assert made.columns["vector"].to_pylist() == [VECTOR]
    assert len(endpoint.asked) == 2


def test_a_wrong_width_stops_the_run_and_names_the_right_one(tmp_path: Path) -> None:
    with (
        Endpoint(lambda asked: embedding(VECTOR)).serving() as endpoint,
        pytest.raises(InputError, match=r"have 4 numbers, but width is 5.*Set width: 4"),
    ):
        measured(tmp_path, endpoint, "a", "b", width=5)


def test_settings_of_sampling_are_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        EmbedEndpoint(model=MODEL, endpoint="http://localhost/v1", width=4, temperature=0)
    with pytest.raises(ValueError, match="/embeddings"):
        EmbedEndpoint(model=MODEL, endpoint="http://localhost/v1/embeddings", width=4)


def recipe(base: Path, url: str, rows: int) -> dict[str, Any]:
    (base / "data").mkdir()
    (base / "data" / "0.jpg").write_bytes(make_image())
    lines = [{"caption": f"text {n}", "image": "0.jpg"} for n in range(rows)]
    write_json_lines(base / "data" / "0.jsonl", lines)
    step = {"model": MODEL, "endpoint": url, "width": 8, "max_concurrent": 8}
    made = caption_recipe(steps=[{"embed_endpoint": step}])
    (base / "recipe.yaml").write_text(yaml.safe_dump(made))
    return made


def test_a_run_embeds_the_texts(tmp_path: Path) -> None:
    with Endpoint(embedded).serving() as endpoint:
        made = run_engine(recipe(tmp_path, endpoint.url, 5), tmp_path, tmp_path / "out")
    tables = list(part_tables(tmp_path / "out", order_pass(made)))
    assert sum(table["embed_endpoint.vector"].null_count for table in tables) == 0
    assert len(endpoint.asked) == 5


@pytest.mark.parametrize("kills", [2])
def test_killed_in_the_middle_nothing_is_paid_twice(tmp_path: Path, kills: int) -> None:
    rows = 200
    with serving(tmp_path / "log") as url:
        recipe(tmp_path, url, rows)
        for kill in range(kills):
            with running(tmp_path, "recipe.yaml", "-o", "out", "-q", "--inline") as driver:
                while len((tmp_path / "log").read_text().splitlines()) < rows * (kill + 1) // 3:
                    assert driver.poll() is None
                    time.sleep(0.005)
                driver.send_signal(signal.SIGKILL)
        for out in ("out", "again"):
            with running(tmp_path, "recipe.yaml", "-o", out, "-q", "--inline") as driver:
                assert driver.wait(timeout=120) == 0
        asked = Counter((tmp_path / "log").read_text().splitlines())
    assert len(asked) == rows
    assert sum(asked.values()) - rows <= kills * 8  # requests in flight when it was killed
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
