"""The contract of steps: models, bounds, blobs, seeds, and what a run does with each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate import recipe
from curate.engine import checkpoints
from curate.engine.plan import plan
from curate.engine.ray import RayExecutor
from manifests import record, storage
from manifests.run.manifest import load_pass
from tests.engine.contract_runs import (
    STEPS,
    clear_log,
    failing_step,
    order,
    run,
    step,
    thirty_photos,  # noqa: F401
    thousand_texts,  # noqa: F401
)
from tests.engine.contract_steps import log_lines
from tests.runs import caption_recipe, file_bytes, part_tables, row_counts, run_engine, text_recipe


def test_a_model_is_loaded_once_and_closed_at_the_end(base: Path) -> None:
    made = run(base, step("Lengths", base))
    lines = [line.split()[0] for line in log_lines(base)]
    assert lines[0] == "load"
    assert lines[-1] == "close"
    assert lines.count("load") == lines.count("close") == 1
    assert row_counts(made)["Lengths"] == (1000, 1000, {}, {})


def test_the_batch_is_as_large_as_the_step_wants(base: Path) -> None:
    run(base, step("Lengths", base))
    asked = [line for line in log_lines(base) if line.startswith("measure")]
    assert asked == ["measure 10"] * 100


def test_a_changed_bound_decides_anew_and_measures_nothing(base: Path) -> None:
    run(base, step("Lengths", base))
    clear_log(base)
    made = run(base, step("Lengths", base, min=20))
    assert log_lines(base) == []
    fresh = run(base, step("Lengths", base, min=20), out="fresh")
    assert made.digest == fresh.digest
    assert row_counts(made)["Lengths"][2] == {"short": 1000 - row_counts(made)["Lengths"][1]}
    assert 0 < row_counts(made)["Lengths"][1] < 1000


def test_where_a_model_lies_is_no_part_of_the_identity_but_what_it_is(base: Path) -> None:
    def prints(seed: int = 1, **settings: Any) -> list[str]:
        content = text_recipe({STEPS + "Lengths": settings}) | {"seed": seed}
        return [p.fingerprint for p in plan(recipe.build(content, base=str(base)))]

    here = prints(folder="/models/a")
    assert prints(folder="/elsewhere/b") == here
    assert prints(folder="/models/a", weights="b") != here
    measure, decide = here[1], here[2]
    other = prints(folder="/models/a", min=7)
    assert (other[1] == measure, other[2] == decide) == (True, False)


def test_the_seed_of_the_recipe_reaches_a_step_that_uses_it_and_no_other(base: Path) -> None:
    def prints(kind: str, seed: int) -> list[str]:
        settings = {} if kind == "Halves" else {"folder": "."}
        content = text_recipe({STEPS + kind: settings}) | {"seed": seed}
        return [p.fingerprint for p in plan(recipe.build(content, base=str(base)))][1:-2]

    assert prints("Halves", 1) != prints("Halves", 2)
    assert prints("Lengths", 1) == prints("Lengths", 2)


def test_two_steps_of_one_kind_draw_different_numbers(base: Path) -> None:
    run(base, step("Lengths", base), step("Lengths", base))
    made = part_tables(base / "out", order(base))
    table = next(made)
    assert table["Lengths.seed"][0].as_py() != table["Lengths-2.seed"][0].as_py()


def test_a_reshape_step_drops_with_a_reason_measures_and_stores_bytes(base: Path) -> None:
    with open(base / "data/0.jsonl", "a") as out:
        out.write('{"text": "alone"}\n')
    made = run(base, {STEPS + "Halves": {}})
    account = next(a for a in made.ledger if a.step == "Halves")
    assert (account.rows_in, account.kept, account.made) == (1001, 1998, 999)
    assert (account.dropped, account.quarantined) == ({"one word": 1}, {"ValueError": 1})
    steps = str(base / "out/steps")
    for table in part_tables(base / "out", order(base)):
        for row in table.to_pylist():
            [media] = row["media"]
            place = storage.join(steps, media["uri"].removeprefix("kept:"))
            data = Path(place).read_bytes()[media["offset"] :][: media["length"]]
            assert data.decode() == row["content"][0]["text"]
            assert row["Halves.half"] in (0, 1)


def test_a_corpus_step_looks_once_and_answers_part_by_part(base: Path) -> None:
    made = run(base, step("LongerThanMean", base))
    lines = [line.split()[0] for line in log_lines(base)]
    assert lines == ["fit", "apply", "apply"]
    rows_in, kept, dropped, quarantined = row_counts(made)["LongerThanMean"]
    assert (rows_in, kept + dropped["short"], quarantined) == (1000, 1000, {})


def test_rows_that_only_passes_over_are_counted_apart(base: Path) -> None:
    (base / "more").mkdir()
    (base / "more/a.jsonl").write_text('{"text": "a few words"}\n')
    source = {"name": "more", "reader": "table", "path": "more/*.jsonl", "text": "text"}
    data = {"name": "data", "reader": "table", "path": "data/*.jsonl", "text": "text"}
    for asked in (
        step("Lengths", base, min=30),
        step("LongerThanMean", base),
        failing_step("FailsOnOne", base, failure="os"),
    ):
        [(key, settings)] = asked.items()
        kind = key.rpartition(":")[2]
        content = text_recipe(
            {key: {**settings, "only": {"source": "more"}}}, sources=[data, source]
        )
        made = run_engine(content, base, base / f"out-{kind}")
        account = next(a for a in made.ledger if a.step == kind)
        assert (account.rows_in, account.passed_over) == (1001, 1000)


def test_ray_loads_a_model_once_a_worker_and_makes_the_same_bytes(base: Path, ray: None) -> None:
    steps = (step("Lengths", base, min=20), {STEPS + "Halves": {}}, step("LongerThanMean", base))
    run(base, *steps, out="inline")
    clear_log(base)
    with RayExecutor(workers=2) as executor:
        run(base, *steps, out="ray", executor=executor)
    loads = [line for line in log_lines(base) if line.startswith("load")]
    closes = [line for line in log_lines(base) if line.startswith("close")]
    assert len(loads) == len(set(loads)) == 2
    assert sorted(line.split()[1] for line in closes) == sorted(line.split()[1] for line in loads)
    assert file_bytes(base / "inline") == file_bytes(base / "ray")


def test_what_a_costly_step_measured_is_in_the_record_of_the_run(base: Path) -> None:
    made = run(base, step("Lengths", base, min=20))
    kinds = [(entry.kind, entry.name) for entry in made.passes]
    assert ("measure", "Lengths") in kinds
    assert ("decide", "Lengths") in kinds
    folder = next(e.folder for e in made.passes if e.kind == "measure")
    assert load_pass(str(base / "out" / folder)).rows == 1000
    table = next(part_tables(base / "out", order(base)))
    lengths = [len(text) for text in record.texts(table["content"]).to_pylist()]
    assert table["Lengths.count"].to_pylist() == lengths


def test_later_steps_read_the_bytes_that_a_step_stored(photos: Path) -> None:
    steps = [{STEPS + "Crops": {}}, "image_decodes", "image_hash"]
    made = run_engine(caption_recipe(steps=steps), photos, photos / "out")
    assert row_counts(made)["image_decodes"] == (30, 30, {}, {})
    assert [entry.name for entry in made.passes][1:3] == ["Crops", "image_decodes"]


def test_a_step_is_not_asked_about_no_rows(base: Path) -> None:
    for only in ({"modality": "video"}, {"source": "data"}):
        made = run(base, {STEPS + "Stacks": {"only": only}}, out=f"out-{next(iter(only))}")
        assert row_counts(made)["Stacks"] == (1000, 1000, {}, {})


@pytest.mark.parametrize("rows", [3, 10, 400])
def test_a_run_that_stops_goes_on_with_batches_of_any_size(
    base: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(base, step("Lengths", base), out="whole")
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    _stop_after(monkeypatch, 205, base)
    clear_log(base)
    run(base, step("Lengths", base, rows=rows))
    asked = sum(int(line.split()[1]) for line in log_lines(base) if line.startswith("measure"))
    assert asked == 800
    assert file_bytes(base / "out") == file_bytes(base / "whole")


def _stop_after(monkeypatch: pytest.MonkeyPatch, texts: int, base: Path) -> None:
    """Run the step `Lengths` until it has measured so many texts."""
    from tests.engine import contract_steps

    asked = 0

    def stop(self: Any, text: str) -> int:
        nonlocal asked
        asked += 1
        if asked == texts:
            raise KeyboardInterrupt
        return len(text)

    with monkeypatch.context() as patch:
        patch.setattr(contract_steps.LengthModel, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            run(base, step("Lengths", base))


def test_a_costly_step_may_rewrite_the_column_that_selects_its_rows(base: Path) -> None:
    made = run(base, {"language": {}}, {STEPS + "Translates": {"only": {"language": "en"}}})
    account = next(a for a in made.ledger if a.step == "Translates")
    languages = [
        language
        for table in part_tables(base / "out", order(base))
        for language in table["language"].to_pylist()
    ]
    assert account.kept == 1000
    assert languages.count("de") == 1000 - account.passed_over > 0
    assert "en" not in languages
