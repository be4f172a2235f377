"""`curate show --prompt`: what a request step sends about a record, and its reply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.cli import FAILED, MISTAKE, OK
from tests.make import make_image
from tests.recaption.endpoint import KEY, MODEL, Answer, Asked, Endpoint, good, reply
from tests.recaption.recaption_runs import write
from tests.runs import caption_recipe, curate, write_recipe

Capture = pytest.CaptureFixture[str]
TEXTS = ["a first text", "a second text", "a third text", "short"]
SECRET = "s3cr3t-value"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    def answer(asked: Asked) -> Answer:
        return reply(f"Said {KEY}") if "second" in asked.raw_text else good(asked)

    monkeypatch.setenv("VLM_API_KEY", KEY)
    monkeypatch.setenv("SECRET", SECRET)
    with Endpoint(answer).serving() as serving:
        yield serving


@pytest.fixture
def base(tmp_path: Path, endpoint: Endpoint) -> Path:
    """A run over four captions: one is dropped before its model is asked, one has bad replies."""
    write(tmp_path, TEXTS, files=1, width=320, height=240)
    (tmp_path / "data/images/2.jpg").write_bytes(make_image(60, 40))
    step = {
        "model": MODEL, "endpoint": endpoint.url, "api_key_variable": "VLM_API_KEY",
        "max_pixels": 10_000, "parameters": {"top_p": 0.9, "user": {"token": "${SECRET}"}},
        "prompt": "own.yaml",
    }  # fmt: skip
    own = {"name": "own", "version": 2, "system": "Be brief.", "expects": {"min_chars": 25},
           "text": "Describe:\n---\n{raw_text}\n---\nBriefly."}  # fmt: skip
    (tmp_path / "own.yaml").write_text(json.dumps(own))
    recipe = caption_recipe(steps=[{"characters": {"min": 8}}, {"recaption": step}])
    settings = {name: value for name, value in recipe.items() if name not in ("name", "sources")}
    write_recipe(tmp_path, *recipe["sources"], **settings)
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "-q", "--inline") == OK
    return tmp_path


def answer(base: Path, capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = curate(base, "show", "out", "--prompt", *arguments)
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err
    assert SECRET not in printed.out + printed.err
    return code, printed.out, printed.err


def shown(base: Path, capsys: Capture, record: str) -> dict[str, Any]:
    code, output, _ = answer(base, capsys, record, "--json")
    assert code == OK
    found: dict[str, Any] = json.loads(output)
    return found


def test_what_is_shown_is_what_the_endpoint_was_sent(
    base: Path, endpoint: Endpoint, capsys: Capture
) -> None:
    sent = {one.raw_text: one for one in endpoint.asked if one.body["seed"] == 0}
    number = len(endpoint.asked)
    for line, text in enumerate(TEXTS[:3], 1):
        first = shown(base, capsys, f"0.jsonl#{line}")["requests"][0][0]
        [image] = sent[text].images
        [size] = sent[text].sizes
        parts = first["body"]["messages"][1]["content"]
        described = parts.pop(0)
        assert (described["width"], described["height"]) == size
        assert described["size_bytes"] == len(image)
        body = json.loads(json.dumps(sent[text].body))
        body["messages"][1]["content"].pop(0)
        body["user"] = {"token": "${SECRET}"}
        assert first["body"] == body
    assert len(endpoint.asked) == number


def test_the_replies_are_those_of_the_journal(base: Path, capsys: Capture) -> None:
    [[only]] = shown(base, capsys, "0.jsonl#1")["requests"]
    assert only["reply"]["text"].startswith("A long description")
    assert only["reply"]["fault"] is None
    [both] = shown(base, capsys, "0.jsonl#2")["requests"]
    assert [one["body"]["seed"] for one in both] == [0, 1]
    assert [one["reply"]["fault"] for one in both] == ["too short", "too short"]


def test_the_text_shows_roles_images_and_the_reply(base: Path, capsys: Capture) -> None:
    code, output, error = answer(base, capsys, "0.jsonl#3")
    assert (code, error) == (OK, "")
    assert f'recaption asks {MODEL}, prompt "own 2"\n' in output
    assert "  system:\n    Be brief.\n  user:\n    [image/jpeg 60 x 40, " in output
    assert "bytes, from " in output
    assert "    Describe:\n    ---\n    a third text\n    ---\n" in output
    assert (
        "  reply, from the journal: ended by stop, model test-vlm-2026, input tokens 100" in output
    )
    assert '"top_p": 0.9, "user": {"token": "${SECRET}"}' in output


def test_a_changed_prompt_is_shown_as_a_run_would_send_it_now(base: Path, capsys: Capture) -> None:
    (base / "own.yaml").write_text("name: own\nversion: 3\ntext: 'Other words: {raw_text}'\n")
    code, output, error = answer(base, capsys, "0.jsonl#1")
    assert code == OK
    assert "Other words: a first text" in output
    assert "reply: none in the journal" in output
    assert "was changed after the run" in error


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["0.jsonl#4"], FAILED, "did not reach the step recaption"),
        (["0.jsonl#1", "--dropped"], MISTAKE, "exclude each other"),
        (["0.jsonl#1", "--step", "recaptoin"], MISTAKE, "Did you mean 'recaption'?"),
        (["nothing"], FAILED, "no record has the id or origin"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    base: Path, capsys: Capture, arguments: list[str], code: int, message: str
) -> None:
    found, _, error = answer(base, capsys, *arguments)
    assert message in error
    assert found == code


def test_a_record_is_named_once(base: Path, capsys: Capture) -> None:
    assert curate(base, "show", "out", "0.jsonl#1", "--prompt", "0.jsonl#1") == MISTAKE
    assert "exclude each other" in capsys.readouterr().err


def test_before_anything_is_paid_a_stopped_run_shows_what_it_will_send(
    base: Path, endpoint: Endpoint, capsys: Capture
) -> None:
    def until(step: str) -> tuple[int, str]:
        capsys.readouterr()
        change = "steps.1.recaption.prompt=caption"
        code = curate(base, "run", "recipe.yaml", "-o", "new", "--inline", "--until", step, "--set",
                      change, "--set", "steps.1.recaption.journal=other")  # fmt: skip
        return code, capsys.readouterr().out

    number = len(endpoint.asked)
    assert until("characters")[0] == OK
    assert curate(base, "show", "new", "--prompt", "0.jsonl#1") == FAILED
    assert "--until recaption" in capsys.readouterr().err
    code, output = until("recaption")
    assert code == OK
    [command] = [line for line in output.splitlines() if "curate show new --prompt" in line]
    assert curate(base, *command.removeprefix("next:").split()[1:]) == OK
    assert 'prompt "caption 1"' in capsys.readouterr().out
    assert curate(base, "show", "new", "--prompt", "0.jsonl#1") == OK
    printed = capsys.readouterr()
    assert "a first text" in printed.out
    assert "reply: none in the journal, so a run asks for it" in printed.out
    assert printed.err == ""
    assert curate(base, "show", "new", "--prompt", "0.jsonl#4") == FAILED
    assert "did not reach the step recaption" in capsys.readouterr().err
    assert len(endpoint.asked) == number


def test_a_run_that_stopped_in_the_middle_shows_replies(
    base: Path, endpoint: Endpoint, capsys: Capture
) -> None:
    arguments = ["run", "recipe.yaml", "-o", "new", "-q", "--inline", "--set"]
    stopped = [*arguments, "steps.1.recaption.model=other", "--set"]
    assert curate(base, *stopped, "steps.1.recaption.budget.requests=1") == 3
    capsys.readouterr()
    line = TEXTS.index(endpoint.asked[-1].raw_text) + 1
    assert curate(base, "show", "new", "--prompt", f"0.jsonl#{line}") == OK
    assert "reply, from the journal" in capsys.readouterr().out
    assert (base / "new" / "unfinished.json").exists()
    assert curate(base, *stopped, "steps.1.recaption.budget.requests=100") == OK
    assert not (base / "new" / "unfinished.json").exists()


def test_explain_states_the_command_that_shows_the_request(base: Path, capsys: Capture) -> None:
    assert curate(base, "explain", "out", "1.jpg") == OK
    printed = capsys.readouterr().out
    command = printed.splitlines()[-1].removeprefix("what recaption asked: curate ")
    assert curate(base, *command.split()) == OK
    assert f"recaption asks {MODEL}" in capsys.readouterr().out


def test_explain_names_no_request_of_a_record_that_was_dropped_before(
    base: Path, capsys: Capture
) -> None:
    assert curate(base, "explain", "out", "3.jpg") == OK
    assert "--prompt" not in capsys.readouterr().out
