"""What a run asked and paid is shown while it runs, at its end, in its manifest and by `curate
journal`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from curate import recipe as recipes
from curate.engine import progress
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from curate.engine.run import Run
from manifests.run.manifest import load_run
from manifests.step import Executor
from recaption.client.entries import encoded
from tests.recaption.endpoint import Endpoint, good, reply
from tests.recaption.recaption_runs import TEXTS, journal_files, recipe, run, write
from tests.runs import curate

PRICES = {"input": 1.0, "output": 10.0, "currency": "EUR"}
ONE = (100 * 1.0 + 20 * 10.0) / 1e6


@pytest.mark.parametrize("is_ray", [False, True])
def test_the_progress_shows_requests_tokens_and_money_while_the_step_asks(
    tmp_path: Path,
    endpoint: Endpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ray: None,
    is_ray: bool,
) -> None:
    monkeypatch.setattr(progress, "BILL_SECONDS", 0.1)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.2)
    endpoint.seconds = 0.25
    write(tmp_path, [f"caption {n}" for n in range(60)])
    for out in ("out", "again"):
        loaded = recipes.build(
            recipe(endpoint, prices=PRICES, max_concurrent=4), base=str(tmp_path)
        )
        executor: Executor = RayExecutor(2) if is_ray else Inline()
        Run(loaded, str(tmp_path / out), executor, progress.Progress())()
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("measure recap")
    ]
    form = r"measure recaption: \d of 2 parts, (\d+) requests, ([\d,]+) tokens/s, (.*), 0% from"
    seen = [found for line in lines if (found := re.match(form, line))]
    assert any(0 < int(one[1]) < 60 for one in seen)
    last = seen[-1]
    assert (last[1], last[3]) == ("60", "0.018 EUR")
    assert 100 < int(last[2].replace(",", "")) < 4 * 120 / 0.25
    assert lines[-1].endswith("0 requests, 0 tokens/s, 0 EUR, 100% from the journal")


def test_the_statuses_of_all_records_are_counted(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.answer = lambda asked: reply("") if asked.raw_text in TEXTS[:3] else good(asked)
    write(tmp_path)
    content = recipe(endpoint, bad_replies="drop")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    for _ in range(2):  # the second time, the measures of the first are used
        assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == 0
        assert "\nrecaption.status: rewritten 9, empty 3\n" in capsys.readouterr().out
    assert load_run(str(tmp_path / "out")).bills[0].statuses == {"rewritten": 9, "empty": 3}


def test_the_bill_is_printed_and_in_the_manifest_but_changes_no_digest(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    content = recipe(endpoint, prices=PRICES)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    for out in ("out", "again"):
        assert curate(tmp_path, "run", "recipe.yaml", "-o", out, "--inline", "-q") == 0
    printed = capsys.readouterr().out
    assert re.search(r"recaption +12 +0 +1,200 +240 +0.0036 EUR +0.0003 EUR\n", printed)
    assert re.search(r"recaption +0 +12 +0 +0 +0 EUR +0 EUR\n", printed)
    assert printed.count("\nrecaption.status: rewritten 12\n") == 2
    first, second = (load_run(str(tmp_path / out)) for out in ("out", "again"))
    assert (first.bills[0].requests, second.bills[0].found) == (12, 12)
    assert first.digest == second.digest
    assert first.bills[0].tokens_per_second == 0  # it is of the present moment
    assert curate(tmp_path, "diff", "out", "again") == 0
    assert curate(tmp_path, "verify", "out") == 0
    assert curate(tmp_path, "rerun", "out", "--inline", "-q") == 0
    path = tmp_path / "out" / "requests" / "recaption.json"
    path.write_bytes(path.read_bytes().replace(b'"requests": 12', b'"requests": 11'))
    assert curate(tmp_path, "verify", "out") == 4
    assert len(endpoint.asked) == 12


def test_the_journal_counts_money_paid_and_money_saved(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, prices=PRICES)
    run(tmp_path, endpoint, "again", prices=PRICES)
    assert curate(tmp_path, "journal", "journal", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    cost = {"input_tokens": 1200, "output_tokens": 240, "unpriced": 0, "replies": 12}
    money = {"EUR": pytest.approx(12 * ONE)}
    assert found["models"] == [{"model": "test-vlm", "money": money, **cost}]
    assert found["saved"] == {"money": money, **cost}
    assert (found["replies"], found["hits"]) == (12, 12)
    assert curate(tmp_path, "journal", "journal", "--prices", "output=1000,request=1") == 0
    printed = capsys.readouterr().out
    assert "found 12 replies in the journal, which saved 1,440 tokens, 12.24 USD" in printed
    assert re.search(r"test-vlm +12 +1,200 +240 +12.24 USD", printed)
    assert curate(tmp_path, "journal", "journal", "--prices", "outputs=1") == 2
    assert "outputs: Extra inputs are not permitted" in capsys.readouterr().err


def test_a_journal_without_the_fields_about_money_is_read(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, prices=PRICES)
    new = ("run", "step", "money", "currency", "saved_money", "saved_input_tokens",
           "saved_output_tokens")  # fmt: skip
    [path] = journal_files(tmp_path)
    entries = [json.loads(line.split(b" ", 2)[2]) for line in path.read_bytes().splitlines()]
    old = [{n: v for n, v in one.items() if n not in new} for one in entries]
    path.write_bytes(b"".join(map(encoded, old)))
    made = run(tmp_path, endpoint, "again", prices=PRICES)
    assert (made.bills[0].requests, made.bills[0].found) == (0, 12)
    assert len(endpoint.asked) == len(TEXTS)
    capsys.readouterr()
    assert curate(tmp_path, "journal", "journal") == 0
    printed = capsys.readouterr().out
    assert "12 of the replies state no price" in printed
    assert "found 12 replies in the journal, which saved 1,440 tokens, 0.0036 EUR" in printed
