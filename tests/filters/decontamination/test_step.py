"""The step as a whole: what decides, what is refused, and whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from curate import cli
from filters.decontamination.decontaminate import Decontaminate
from filters.image.perceptual.phash import SIDE
from manifests.media import Media
from tests.filters.decontamination.benchmarks import (
    PADDING,
    QUESTIONS,
    STAYS,
    embedded,
    image_list,
    jsonl,
    step,
)
from tests.filters.rows import answers, media_records, text_records
from tests.runs import curate, run_recipe, write_recipe


def test_the_first_rule_that_holds_is_the_reason_and_names_the_item(images: Path) -> None:
    jsonl(images / "t.jsonl", {"q": QUESTIONS[0]})
    jsonl(images / "i.jsonl", {"i": "0.jpg", "v": [1.0]})
    step_ = step(
        {"name": "t", "path": "t.jsonl", "text": "q"},
        {"name": "i", "path": "i.jsonl", "image": "i", "embedding": "v"},
        embedding="embed.vector",
        overlap=0.9,
    )
    partly = " ".join(QUESTIONS[0].split()[:16])
    batch = text_records(QUESTIONS[0], partly, partly, PADDING)
    media = media_records(*[image_list("0.jpg")] * 2, *[image_list("3.jpg")] * 2)["media"]
    batch = batch.set_column(batch.schema.get_field_index("media"), "media", media)
    vectors = pa.array([[1.0], [1.0], [-1.0], [1.0]])
    batch = batch.append_column("embed.vector", vectors)
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["drop"] == ["benchmark text", "benchmark image", STAYS, "benchmark embedding"]
    assert found["benchmark"] == ["t", "i", "t", "i"]
    assert found["found_by"] == ["text", "image", "text", "embedding"]
    assert [one is None for one in found["overlap"]] == [False, True, False, True]
    assert [one is None for one in found["similarity"]] == [True, False, True, False]
    assert found["overlap"][2] < 0.9


def test_slices_of_a_batch_get_the_same_answers(images: Path) -> None:
    jsonl(images / "b.jsonl", {"q": QUESTIONS[0], "i": "0.jpg", "v": [0.0, 1.0, 0.0]})
    fields = {"text": "q", "image": "i", "embedding": "v"}
    step_ = step({"name": "b", "path": "b.jsonl", **fields}, embedding="embed.vector")
    batch = embedded([1, 0, 0], None, [0, 1, 0], [0, 0, 1], fixed=True)
    content = text_records(PADDING, QUESTIONS[0], None, PADDING)["content"]
    media = media_records(
        image_list("1.jpg", "0.jpg"), image_list("2.jpg"), image_list(), image_list("2.jpg")
    )["media"]
    for name, column in (("content", content), ("media", media)):
        batch = batch.set_column(batch.schema.get_field_index(name), name, column)
    opened = Media(str(images), side=SIDE)
    expected = answers(step_, batch, opened)
    assert expected["drop"] == ["benchmark image", "benchmark text", "benchmark embedding", STAYS]
    for start in range(5):
        assert answers(step_, batch[start:], opened) == {n: c[start:] for n, c in expected.items()}
    joined = pa.concat_tables([batch[2:], batch[:2]])
    assert answers(step_, joined, opened) == {n: c[2:] + c[:2] for n, c in expected.items()}


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"benchmarks": []}, "at least 1 item"),
        ({"benchmarks": [{"name": "b", "path": "x"}] * 2}, "two benchmarks are named 'b'"),
        (
            {"benchmarks": [{"name": "b", "path": "x", "embedding": "v"}]},
            "so the step must set embedding too",
        ),
        ({"benchmarks": [{"name": "b", "path": "x"}], "overlap": 0}, "greater than 0"),
        ({"benchmarks": [{"name": "b", "path": "x", "fields": "q"}]}, "Extra inputs"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Decontaminate.model_validate(settings_)


def test_a_run_drops_planted_items_and_explains_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl(tmp_path / "gsm.jsonl", *({"id": f"q-{n}", "q": q} for n, q in enumerate(QUESTIONS)))
    captions = [PADDING + str(n) for n in range(20)]
    captions[7] = f"Homework. {QUESTIONS[1]} I think 325."
    (tmp_path / "data").mkdir()
    jsonl(tmp_path / "data" / "a.jsonl", *({"caption": c} for c in captions))
    source = {"name": "web", "reader": "table", "path": "data/a.jsonl", "text": "caption"}
    benchmark = {"name": "gsm", "path": "gsm.jsonl", "text": "q", "id": "id"}
    made = run_recipe(
        tmp_path,
        source,
        steps=[
            {"filters.decontamination.decontaminate:Decontaminate": {"benchmarks": [benchmark]}}
        ],
    )
    assert made.accounts["Decontaminate"] == (20, 19, {"benchmark text": 1}, {})
    capsys.readouterr()
    assert curate(tmp_path, "explain", "out", "data/a.jsonl#8") == cli.OK
    text = capsys.readouterr().out
    assert "dropped      reason benchmark text, Decontaminate.benchmark gsm" in text
    assert "Decontaminate.item q-1, Decontaminate.overlap 1" in text


def test_a_rerun_with_a_benchmark_that_changed_names_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl(tmp_path / "gsm.jsonl", {"q": QUESTIONS[0]})
    jsonl(tmp_path / "a.jsonl", *({"caption": PADDING + str(n)} for n in range(3)))
    source = {"name": "web", "reader": "table", "path": "a.jsonl", "text": "caption"}
    benchmark = {"name": "gsm", "path": "gsm.jsonl", "text": "q"}
    run_recipe(tmp_path, source, steps=[{"decontaminate": {"benchmarks": [benchmark]}}])
    assert curate(tmp_path, "rerun", "out", "--inline", "-q") == cli.OK
    jsonl(tmp_path / "gsm.jsonl", {"q": QUESTIONS[1]})
    capsys.readouterr()
    assert curate(tmp_path, "rerun", "out", "--inline", "-q") == cli.DIFFERS
    assert "step decontaminate files[0]" in capsys.readouterr().out


def test_a_run_with_a_mistake_in_a_benchmark_never_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl(tmp_path / "gsm.jsonl", {"q": QUESTIONS[0]}, {"q": None})
    jsonl(tmp_path / "a.jsonl", {"caption": "x"})
    source = {"name": "web", "reader": "table", "path": "a.jsonl", "text": "caption"}
    benchmark = {"name": "gsm", "path": "gsm.jsonl", "text": "q"}
    write_recipe(
        tmp_path,
        source,
        steps=[
            {"filters.decontamination.decontaminate:Decontaminate": {"benchmarks": [benchmark]}}
        ],
    )
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == cli.FAILED
    assert "gsm.jsonl#2: benchmark 'gsm': this item is empty in 'q'" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.arrow"))
