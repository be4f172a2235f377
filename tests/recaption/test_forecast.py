"""`curate plan` counts the requests of a step exactly, and forecasts what they will cost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.run.manifest import load_run
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, good, refusal, reply
from tests.recaption.recaption_runs import recipe, write
from tests.runs import curate, file_bytes, write_recipe

PRICES = {"input": 1.0, "output": 4.0}
MANY = [f"a caption with the number {n}" for n in range(400)]


def varied(asked: Asked) -> Answer:
    """A reply whose length and whose number of input tokens depend on what was asked."""
    number = int(hashlib.sha256(asked.text.encode()).hexdigest()[:8], 16)
    content = json.loads(good(asked).body)
    tokens = 20 + number % 200
    pixels = sum(width * height for width, height in asked.sizes)
    read = 40 + len(asked.text) // 4 + pixels // 1024
    content["usage"] = {"prompt_tokens": read, "completion_tokens": tokens}
    return Answer(body=json.dumps(content).encode())


def planned(
    base: Path, capsys: pytest.CaptureFixture[str], *options: str, code: int = 0
) -> dict[str, Any]:
    """The forecast of the step `recaption`."""
    capsys.readouterr()
    assert curate(base, "plan", "recipe.yaml", "-o", "out", "--json", *options) == code
    found = json.loads(capsys.readouterr().out)
    [entry] = [one for one in found if "forecast" in one]
    assert entry["does"] == "measure recaption"
    return dict(entry["forecast"]) if entry["forecast"] else {}


def prepare(base: Path, endpoint: Endpoint, **settings: Any) -> None:
    content = recipe(endpoint, **{"prices": PRICES, **settings})
    (base / "recipe.yaml").write_text(yaml.safe_dump(content))
    assert until(base) == 0


def until(base: Path, out: str = "out") -> int:
    arguments = ("recipe.yaml", "-o", out, "--until", "recaption", "--inline", "-q")
    return curate(base, "run", *arguments)


def finish(base: Path, out: str = "out") -> int:
    return curate(base, "run", "recipe.yaml", "-o", out, "--inline", "-q")


def test_without_the_passes_before_it_names_the_command_that_makes_them(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(endpoint)))
    assert curate(tmp_path, "plan", "recipe.yaml", "-o", "out") == 0
    command = capsys.readouterr().out.partition("First run: ")[2].strip()
    assert command == "curate run recipe.yaml -o out --until recaption"
    assert planned(tmp_path, capsys) == {}
    assert curate(tmp_path, *command.split()[1:], "--inline") == 0
    assert "            curate plan recipe.yaml -o out\n" in capsys.readouterr().out
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert planned(tmp_path, capsys)["to_ask"] == 12
    assert endpoint.asked == []
    assert finish(tmp_path) == 0
    assert finish(tmp_path, "again") == 0
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
    assert curate(tmp_path, "plan", "recipe.yaml", "-o", "out") == 0
    assert "recaption: 0 records to process; 12 are done" in capsys.readouterr().out


def test_an_unknown_step_in_until_is_named(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(endpoint)))
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--until", "recapton") == 2
    assert "no step named 'recapton'. Did you mean 'recaption'?" in capsys.readouterr().err


def test_requests_are_counted_exactly(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal requests are one, replies of the journal are known, images that are gone are not asked
    about, and a bad reply of the journal is asked about again."""
    texts = [f"caption {n}" for n in range(30)]
    write(tmp_path, [*texts, *texts[:3]])
    images = tmp_path / "data" / "images"
    for n in range(3):
        (images / f"{30 + n}.jpg").write_bytes((images / f"{n}.jpg").read_bytes())
    endpoint.answer = lambda a: refusal(401, "expired") if len(endpoint.asked) > 10 else good(a)
    prepare(tmp_path, endpoint, max_concurrent=1)
    assert finish(tmp_path, "first") == 1
    (images / "29.jpg").unlink()
    found = planned(tmp_path, capsys)
    assert found["requests"] == 29
    assert (found["failing"], found["in_journal"], found["to_ask"]) == (1, 10, 19)
    endpoint.answer = good
    assert finish(tmp_path) == 0
    assert len(endpoint.asked) == 11 + 19


def test_a_bad_reply_of_the_journal_is_to_be_asked_again(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.body["seed"] == 1:
            return refusal(401, "expired")
        return reply("") if asked.raw_text == "caption 3" else good(asked)

    write(tmp_path, [f"caption {n}" for n in range(4)])
    endpoint.answer = answer
    prepare(tmp_path, endpoint)
    assert finish(tmp_path, "first") == 1
    assert planned(tmp_path, capsys)["to_ask"] == 1


def test_input_tokens_are_those_of_the_vocabulary_and_of_smart_resize(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    qwen = pytest.importorskip("manifests.models.qwen_tokenizer")
    count = qwen.qwen_tokenizer().count
    write(tmp_path, ["a red house", "two trees"], width=640, height=480)
    endpoint.answer = varied
    prepare(tmp_path, endpoint, max_pixels=320 * 240)
    found = planned(tmp_path, capsys)
    assert found["is_exact"]
    assert "the vocabulary of Qwen, images by the vision profile qwen3_vl" in found["counted_by"]
    assert finish(tmp_path) == 0
    assert {size for one in endpoint.asked for size in one.sizes} == {(320, 240)}
    texts = sum(count(one.text) for one in endpoint.asked)
    assert found["input_tokens"] == texts + 2 * (10 * 8 + 2)  # 320 x 256 pixels, patches of 32


@pytest.mark.parametrize("bad", [0, 7])
def test_the_forecast_from_a_sample_is_close_to_the_bill_of_the_rest(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str], bad: int
) -> None:
    """With `bad`, one of so many first replies is empty, and the model is asked again."""

    def answer(asked: Asked) -> Answer:
        number = int(hashlib.sha256(asked.raw_text.encode()).hexdigest(), 16)
        if bad and asked.body["seed"] == 0 and number % bad == 0:
            return reply("")
        return varied(asked)

    endpoint.answer = answer
    write(tmp_path, MANY)
    prepare(tmp_path, endpoint)
    assert planned(tmp_path, capsys)["estimate"] is None
    found = planned(tmp_path, capsys, "--sample", "50")
    assert (found["requests"], found["in_journal"], found["to_ask"]) == (400, 50, 350)
    asked = len(endpoint.asked)
    assert (asked == 50) is not bad
    assert found["estimate"]["replies"] == 50
    assert finish(tmp_path) == 0
    [bill] = load_run(str(tmp_path / "out")).bills
    assert bill.requests == len(endpoint.asked)
    rest = endpoint.asked[asked:]
    usages = [json.loads(answer(one).body)["usage"] for one in rest]
    money = sum(u["prompt_tokens"] * 1.0 + u["completion_tokens"] * 4.0 for u in usages) / 1e6
    assert found["estimate"]["money"] == pytest.approx(money, rel=0.15)
    assert found["estimate"]["requests"] == pytest.approx(len(rest), rel=0.15)
    assert abs(found["estimate"]["money"] - money) < 2 * found["estimate"]["money_error"]


def test_the_journal_of_other_records_is_a_forecast_too(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.answer = varied
    write(tmp_path, MANY[:100])
    prepare(tmp_path, endpoint)
    assert finish(tmp_path) == 0
    (tmp_path / "out").rename(tmp_path / "before")
    write(tmp_path, MANY[100:250])
    assert until(tmp_path) == 0
    found = planned(tmp_path, capsys)
    assert (found["to_ask"], found["estimate"]["source"]) == (150, "same prompt")
    assert found["estimate"]["replies"] == 100
    assert found["estimate"]["output_tokens"] == pytest.approx(150 * 120, rel=0.15)


def test_a_sample_without_a_reply_is_no_forecast(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.answer = lambda asked: refusal(500, "internal")
    write(tmp_path)
    prepare(tmp_path, endpoint, max_attempts=1)
    found = planned(tmp_path, capsys, "--sample", "3")
    assert (found["to_ask"], found["estimate"]) == (12, None)
    assert len(endpoint.asked) == 3
    assert curate(tmp_path, "plan", "recipe.yaml", "-o", "out") == 0
    assert "none: the journal has no reply to such requests" in capsys.readouterr().out


def test_a_sample_is_the_same_for_a_seed_and_counts_for_the_budget(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, MANY[:60])
    prepare(tmp_path, endpoint, budget={"requests": 20})
    planned(tmp_path, capsys, "--sample", "8")
    first = endpoint.texts
    for path in (tmp_path / "journal").iterdir():
        path.unlink()
    planned(tmp_path, capsys, "--sample", "8")
    assert endpoint.texts == sorted(first * 2)
    assert finish(tmp_path) == 3
    assert len(endpoint.asked) == 20  # the bill counts the replies of the deleted journal
    capsys.readouterr()
    assert curate(tmp_path, "plan", "recipe.yaml", "--sample", "8") == 2


def test_the_forecast_of_real_captions_is_close_to_their_bill(
    real_data: Path, tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photographs of textbooks, of many sizes, with captions of many lengths."""
    endpoint.answer = varied
    folder = str(real_data / "captions" / "openstax")
    source = {"name": "openstax", "reader": "table", "path": f"{folder}/*.captions.jsonl",
              "text": "caption", "image": "file", "media_root": folder}  # fmt: skip
    step = {"model": MODEL, "endpoint": endpoint.url, "prices": PRICES, "max_pixels": 90_000}
    write_recipe(tmp_path, source, steps=[{"recaption": step}])
    assert until(tmp_path) == 0
    found = planned(tmp_path, capsys, "--sample", "50")
    assert found["to_ask"] > 700
    asked = len(endpoint.asked)
    assert finish(tmp_path) == 0
    rest = endpoint.asked[asked:]
    assert len(rest) == found["to_ask"]
    usages = [json.loads(varied(one).body)["usage"] for one in rest]
    money = sum(u["prompt_tokens"] * 1.0 + u["completion_tokens"] * 4.0 for u in usages) / 1e6
    assert found["estimate"]["money"] == pytest.approx(money, rel=0.15)
    print(f"forecast {found['estimate']['money']:.4f}, bill {money:.4f}")


def test_the_plan_names_the_record_at_which_the_budget_ends_the_run(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, MANY[:100])
    prepare(tmp_path, endpoint, budget={"requests": 40})
    assert planned(tmp_path, capsys)["budget_end"]["records"] == 40
    found = planned(tmp_path, capsys, "--sample", "20")
    assert found["spent"]["requests"] == 20
    assert found["budget_end"] == {
        "name": "requests", "most": 40, "spent": 20, "more": 80, "records": 40
    }  # fmt: skip
    money = 20 * (100 * 1.0 + 20 * 4.0) / 1e6
    prepare(tmp_path, endpoint, budget={"requests": 100, "money": 2 * money})
    assert curate(tmp_path, "plan", "recipe.yaml", "-o", "out") == 0
    printed = capsys.readouterr().out
    assert "0.0072 USD will not be enough: the run stops after about " in printed
    prepare(tmp_path, endpoint, budget={"requests": 100, "money": 6 * money})
    assert planned(tmp_path, capsys)["budget_end"] is None
    assert curate(tmp_path, "plan", "recipe.yaml", "-o", "out") == 0
    assert "budget    is enough, by this forecast; 20 requests, " in capsys.readouterr().out
    assert finish(tmp_path) == 0
