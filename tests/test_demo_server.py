"""The server of the demo, and the step of the demo that asks it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from PIL import Image

from curate import demo, demo_server
from curate.cli import FAILED, MISTAKE, OK, run
from curate.demo_server import MODEL, DemoServer, described
from manifests.run.manifest import load_run
from tests.runs import environment

Capture = pytest.CaptureFixture[str]


def test_the_drawings_of_the_demo_are_described_as_their_captions_do() -> None:
    for number in range(40):
        data, caption = demo._drawing(number)
        text = described(Image.open(io.BytesIO(data)))
        colour, shape = caption.split()[1:3]
        place = caption[: caption.index(" of a pale")].split(" ", 3)[3]
        assert text.startswith("A pale image of ")
        assert f"with one {colour} region {place}. " in text, (caption, text)
        assert text.endswith(f"as a {shape} does."), (caption, text)


def test_an_image_of_one_colour_has_no_region() -> None:
    text = described(Image.new("RGB", (7, 5), (20, 30, 20)))
    assert text == "A dark image of 7 by 5 pixels, mostly black, without a clear region."


def ask(endpoint: str, body: Any, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
    connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body))
    answer = connection.getresponse()
    status, data = answer.status, json.loads(answer.read())
    connection.close()
    return status, data


def question(url: str) -> dict[str, Any]:
    parts = [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "What is it?"},
    ]
    return {"model": MODEL, "messages": [{"role": "user", "content": parts}]}


def test_a_question_about_an_image_is_answered_and_any_other_is_refused() -> None:
    drawing, _ = demo._drawing(1)
    url = f"data:image/jpeg;base64,{base64.b64encode(drawing).decode()}"
    with DemoServer(0).serving() as server:
        status, reply = ask(server.endpoint, question(url))
        assert (status, reply["model"], reply["choices"][0]["finish_reason"]) == (
            200,
            MODEL,
            "stop",
        )
        assert reply["choices"][0]["message"]["content"] == described(
            Image.open(io.BytesIO(drawing))
        )
        assert reply["usage"]["prompt_tokens"] == 3
        for bad in (b"", b"[]", {"messages": []}, question(url[:-1]), question(url[:400])):
            status, reply = ask(server.endpoint, bad)
            assert status == 400, bad
            assert "this is no question about an image" in reply["error"]["message"]
        assert ask(server.endpoint, question(url), "/v1/models")[0] == 404
        assert server.answered == 1


def is_open(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(endpoint).port)) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo whose server used a port of this test alone: demos of other tests run meanwhile."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_server, "PORT", a_free_port())
        assert run(["demo", "-o", str(folder), "--inline", "-q"]) == OK
    return folder


def a_free_port() -> int:
    """Returns a port that neither Ray nor Linux gives away, and no demo takes on its own."""
    while True:
        port = random.SystemRandom().randrange(20000, 28000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def endpoint_of(folder: Path) -> str:
    step = next(s for s in load_run(str(folder / "out")).recipe["steps"] if "recaption" in s)
    return str(step["recaption"]["endpoint"])


def test_the_shards_of_the_demo_have_the_new_and_the_old_text(made: Path) -> None:
    files = sorted((made / "out" / "shards").glob("*.arrow"))
    rows = [r for f in files for r in pa.ipc.open_stream(f.read_bytes()).read_all().to_pylist()]
    new = [row for row in rows if row["recaption.status"] == "rewritten"]
    assert len(new) > 300
    for row in new:
        assert row["recaption.model"] == MODEL
        assert "of its bounding box, as a " in json.dumps(row["messages"])
        assert "pale picture, number" in row["raw_text"].lower()


def test_the_server_ends_with_the_demo_and_with_an_error(
    made: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert not is_open(endpoint_of(made))
    (tmp_path / "out").write_text("a file where the run should be")
    assert run(["demo", "-o", str(tmp_path), "--inline", "-q"]) == FAILED
    endpoint = (tmp_path / "recipe.yaml").read_text().split("endpoint: ")[1].split()[0]
    assert not is_open(endpoint)
    assert "out" in capsys.readouterr().err


def test_a_second_demo_asks_nothing(made: Path, capsys: Capture) -> None:
    digest = load_run(str(made / "out")).digest
    shutil.rmtree(made / "out")
    assert run(["demo", "-o", str(made), "--inline", "-q"]) == OK
    assert f"recaption   0 requests to {MODEL}" in capsys.readouterr().out
    assert load_run(str(made / "out")).digest == digest


def test_the_recipe_of_the_demo_runs_later_without_the_server(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    assert not is_open(endpoint_of(made))
    assert run(["run", "recipe.yaml", "-o", str(tmp_path / "out"), "--inline", "-q"]) == OK
    assert load_run(str(tmp_path / "out")).digest == load_run("out").digest


def test_the_server_of_a_demo_can_be_started_again(made: Path) -> None:
    command = [sys.executable, "-m", "curate", "demo", "--serve", "-o", str(made)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    assert started.stdout is not None
    with started.stdout:
        endpoint = endpoint_of(made)
        assert started.stdout.readline() == f"{MODEL} answers at {endpoint} until Ctrl-C\n"
        assert ask(endpoint, {})[0] == 400
        busy = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert (busy.returncode, "Check whether the server is running already." in busy.stderr) == (
            FAILED,
            True,
        )
        started.send_signal(signal.SIGINT)
        assert started.wait(10) == OK


def test_without_the_recipe_of_the_demo_the_message_names_the_command_that_makes_it(
    tmp_path: Path, capsys: Capture
) -> None:
    assert run(["demo", "--serve", "-o", str(tmp_path / "none")]) == MISTAKE
    assert f"Make the demo first: curate demo -o {tmp_path}/none" in capsys.readouterr().err
