"""A budget bounds what an output folder pays in all its runs, and what is paid is counted."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate import recipe as recipes
from curate.engine.ray import RayExecutor
from manifests.errors import RecipeError, SpentError
from manifests.run.bill import Bill, money_text
from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from tests.recaption import killed_runs
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, good, reply
from tests.recaption.recaption_runs import TEXTS, journal_files, recipe, run, statuses, write
from tests.runs import caption_recipe, curate, run_engine

PRICES = {"input": 1.0, "output": 10.0, "currency": "EUR"}
ONE = (100 * 1.0 + 20 * 10.0) / 1e6
"""The money of one reply of the endpoint, which states 100 and 20 tokens."""
MANY = [f"a caption with the number {n}" for n in range(120)]


def entries(base: Path) -> list[dict[str, Any]]:
    lines = [line for path in journal_files(base) for line in path.read_bytes().splitlines()]
    found = [json.loads(line.split(b" ", 2)[2]) for line in lines]
    return [one for one in found if "key" in one]


def bill(made: RunManifest) -> Bill:
    [found] = made.bills
    return found


@pytest.mark.parametrize(
    ("budget", "most"),
    [({"requests": 50}, 50), ({"tokens": 50 * 120}, 50), ({"money": 49.5 * ONE}, 50)],
)
def test_a_budget_is_exceeded_by_no_more_than_what_was_in_flight(
    tmp_path: Path, endpoint: Endpoint, budget: dict[str, Any], most: int
) -> None:
    endpoint.seconds = 0.02
    write(tmp_path, MANY)
    [name] = budget
    settings = {"prices": PRICES, "max_concurrent": 32}
    with pytest.raises(SpentError, match=r"the budget of .* is used up: ") as raised:
        run(tmp_path, endpoint, budget=budget, **settings)
    asked = len(endpoint.asked)
    assert most <= asked <= most + (0 if name == "requests" else 31)
    assert len(entries(tmp_path)) == asked
    assert f"{asked} requests, {120 * asked:,} tokens" in str(raised.value)
    [remain] = re.findall(r"(\d+) of 120 records remain", str(raised.value))
    assert 120 - asked <= int(remain) <= 120 - asked + 32  # replies of the next part are no records
    made = run(tmp_path, endpoint, budget={name: 10 * budget[name]}, **settings)
    assert statuses(tmp_path, made) == {"rewritten": 120}
    assert len(endpoint.asked) == 120
    assert bill(made).model_copy(update={"found": 0, "money": 0.0}) == Bill(
        step="recaption",
        requests=120,
        input_tokens=12_000,
        output_tokens=2_400,
        currency="EUR",
        statuses={"rewritten": 120},
    )
    assert bill(made).money == pytest.approx(120 * ONE)
    assert verify(str(tmp_path / "out")).uncovered == []


def test_a_budget_that_is_just_enough_stops_nothing(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path)
    made = run(tmp_path, endpoint, budget={"requests": 12})
    assert statuses(tmp_path, made) == {"rewritten": 12}
    run(tmp_path, endpoint, bad_replies="drop", budget={"requests": 0})
    made = run(tmp_path, endpoint, "again", budget={"requests": 0})
    assert (bill(made).requests, bill(made).found) == (0, 12)
    assert len(endpoint.asked) == 12


def test_a_budget_that_is_lowered_below_what_was_spent_stops_at_once(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    with pytest.raises(SpentError):
        run(tmp_path, endpoint, budget={"requests": 8})
    with pytest.raises(SpentError, match=r"the budget of 3 requests is used up: 8 requests"):
        run(tmp_path, endpoint, budget={"requests": 3})
    assert len(endpoint.asked) == 8


def test_what_was_paid_keeps_its_price_when_the_prices_change(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    with pytest.raises(SpentError):
        run(tmp_path, endpoint, prices={"request": 1}, budget={"requests": 5})
    made = run(tmp_path, endpoint, prices={"request": 3})
    assert bill(made).money == pytest.approx(5 * 1 + 7 * 3)


def test_a_new_output_folder_has_a_budget_of_its_own(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path)
    with pytest.raises(SpentError):
        run(tmp_path, endpoint, budget={"requests": 7})
    made = run(tmp_path, endpoint, "other", budget={"requests": 7})
    assert (bill(made).requests, bill(made).found) == (5, 7)


def test_each_step_has_a_budget_of_its_own(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path)
    step = {"model": MODEL, "endpoint": endpoint.url, "budget": {"requests": 12}}
    steps = [{"recaption": step}, {"recaption": {**step, "budget": {"requests": 5}}}]
    with pytest.raises(SpentError, match=r"step recaption-2, .*the budget of 5 requests"):
        run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    assert len(endpoint.asked) == 17


def test_the_command_that_continues_is_named_and_works(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    content = recipe(endpoint, budget={"requests": 7})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == 3
    printed = capsys.readouterr().err
    command = printed.partition("for example: ")[2].strip().removesuffix(".")
    expected = "curate run recipe.yaml -o out --set steps.recaption.budget.requests=14 --inline"
    assert command == expected
    assert curate(tmp_path, *command.split()[1:]) == 0
    assert len(endpoint.asked) == 12
    assert re.search(r"\nrecaption +12 +1 +1,200 +240 +no prices\n", capsys.readouterr().out)


def test_bad_replies_that_are_asked_twice_are_paid_twice(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda a: reply("") if a.raw_text in TEXTS[:3] else good(a)
    write(tmp_path)
    made = run(tmp_path, endpoint, prices=PRICES)
    assert bill(made).requests == len(endpoint.asked) == 15
    assert bill(made).money == pytest.approx(15 * ONE)


def test_replies_without_a_usage_are_counted_by_a_named_way(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    def answer(asked: Asked) -> Answer:
        content = json.loads(good(asked).body)
        del content["usage"]
        return Answer(body=json.dumps(content).encode())

    endpoint.answer = answer
    write(tmp_path, TEXTS[:2], width=320, height=160)
    with pytest.raises(SpentError, match="the budget of 60 tokens is used up: 1 request"):
        run(tmp_path, endpoint, budget={"tokens": 60}, max_concurrent=1)
    made = run(tmp_path, endpoint)
    assert bill(made).counted == 2
    one = entries(tmp_path)[0]
    assert one["counted_by"].startswith("texts by ")
    assert "images by the vision profile qwen3_vl" in one["counted_by"]
    assert 10 <= one["output_tokens"] <= 30
    assert 52 + 60 <= one["input_tokens"] <= 400  # 10 x 5 patches, 2 around them, the prompt


@pytest.mark.parametrize("how", [("--inline",), ("--workers", "2")])
def test_what_a_killed_run_paid_counts(tmp_path: Path, how: tuple[str, ...]) -> None:
    killed_runs.write(tmp_path)
    log, most = tmp_path / "log", 100
    with killed_runs.serving(log) as url:
        killed_runs.write_recipe(tmp_path, url, budget={"requests": most}, prices=PRICES)
        for _ in range(2):
            before = len(log.read_text().splitlines())
            with killed_runs.run(tmp_path, "out", how) as driver:
                while driver.poll() is None and len(log.read_text().splitlines()) < before + 40:
                    time.sleep(0.005)
                assert driver.poll() is None
        for _ in range(2):
            with killed_runs.run(tmp_path, "out", how) as driver:
                _, printed = driver.communicate(timeout=120)
            assert driver.returncode == 3, printed.decode()
            assert f"the budget of {most} requests is used up: {most} req" in printed.decode()
    paid = entries(tmp_path)
    assert len({(one["run"], one["step"]) for one in paid}) == 1
    assert len(paid) == most
    assert len(log.read_text().splitlines()) <= most + 2 * killed_runs.IN_FLIGHT


@pytest.mark.parametrize("journal", ["journal", "other"])
def test_a_budget_goes_on_with_another_journal_and_without_the_old_one(
    tmp_path: Path, endpoint: Endpoint, journal: str
) -> None:
    write(tmp_path, MANY[:60])
    settings = {"prices": PRICES, "max_concurrent": 4}
    with pytest.raises(SpentError, match=r"used up: 20 requests"):
        run(tmp_path, endpoint, budget={"requests": 20}, **settings)
    if journal == "journal":
        shutil.rmtree(tmp_path / "journal")
    settings["journal"] = journal
    with pytest.raises(SpentError, match=r"used up: 30 requests, 3,600 tokens, 0.009 EUR"):
        run(tmp_path, endpoint, budget={"requests": 30}, **settings)
    assert len(endpoint.asked) == 30
    dollars = {"input": 1, "output": 1, "currency": "USD"}
    made = run(tmp_path, endpoint, **settings | {"prices": dollars})
    assert bill(made).requests == len(endpoint.asked) == 80
    assert bill(made).money == pytest.approx(80 * 120 / 1e6)


def test_ray_keeps_to_the_budget_and_counts_the_same(
    tmp_path: Path, endpoint: Endpoint, ray: None
) -> None:
    write(tmp_path, MANY[:60])
    with pytest.raises(SpentError, match=r"used up: 20 requests.* 40 of 60 records remain"):
        run(tmp_path, endpoint, executor=RayExecutor(2), max_concurrent=4, budget={"requests": 20})
    made = run(tmp_path, endpoint, executor=RayExecutor(2), prices=PRICES)
    assert len(endpoint.asked) == 60
    assert bill(made).requests == 60
    assert bill(made).money == pytest.approx(60 * ONE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": {"money": 5}}, r"budget\.money needs `prices`"),
        ({"budget": {"money": 5}, "prices": {}}, r"budget\.money needs `prices`"),
        ({"budget": {"request": 5}}, r"budget\.request: .*Did you mean 'requests'"),
        ({"budget": {"tokens": -1}}, r"budget\.tokens: .*greater than or equal to 0"),
        ({"prices": {"input": "cheap"}}, r"prices\.input: .*valid number"),
        ({"prices": {"input": True}}, r"prices\.input: .*true is not a number"),
        ({"prices": {"input": 1, "currency": "$"}}, r"prices\.currency: "),
        ({"prices": {"input": 1}}, r"prices: there is a price for input tokens alone"),
        ({"budget": "5 USD"}, r"NAME: VALUE} \(not '5 USD'\).* requests, tokens, money"),
    ],
)
def test_a_mistake_in_prices_or_budget_is_named_by_its_field(
    settings: dict[str, Any], message: str
) -> None:
    nowhere = Endpoint()
    nowhere.url = "http://127.0.0.1/v1"
    with pytest.raises(RecipeError, match=message):
        recipes.build(recipe(nowhere, **settings))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000/v1", "endpoint: the address must begin with http:// or https://"),
        ("http://a:b@host/v1", "the variable that `api_key_variable` names"),
    ],
)
def test_a_mistake_in_the_address_of_an_endpoint_is_explained(url: str, message: str) -> None:
    nowhere = Endpoint()
    nowhere.url = url
    with pytest.raises(RecipeError, match=message):
        recipes.build(recipe(nowhere))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["recaption.statsu"], "Did you mean 'recaption.status'"),
        (["recaption"], r"The columns of the step recaption are recaption\.status, "),
    ],
)
def test_an_unknown_column_of_the_shards_is_refused_before_anything_is_paid(
    tmp_path: Path, endpoint: Endpoint, columns: list[str], message: str
) -> None:
    write(tmp_path)
    content = recipe(endpoint)
    content["shards"] = {"columns": columns}
    with pytest.raises(RecipeError, match=message):
        run_engine(content, tmp_path, tmp_path / "out")
    assert endpoint.asked == []


def test_a_variable_of_the_key_that_is_not_set_is_noted_before_the_run(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    content = recipe(endpoint, api_key_variable="NO_SUCH_KEY")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    assert curate(tmp_path, "plan", "recipe.yaml") == 0
    assert "recaption: the environment variable NO_SUCH_KEY" in capsys.readouterr().out


def test_money_is_printed_with_its_digits() -> None:
    printed = [money_text(money, "USD") for money in (0, 0.00123456, 1.5, 12.345, 1234567.0)]
    assert printed == ["0 USD", "0.001235 USD", "1.5 USD", "12.35 USD", "1,234,567.00 USD"]
