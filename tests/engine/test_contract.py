"""The contract of steps: models, errors, bounds, blobs, seeds, and what a run does with each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate import recipe
from curate.engine import checkpoints
from curate.engine.plan import plan
from curate.engine.ray import RayExecutor
from manifests import record, storage
from manifests.errors import BudgetError, RecipeError, StepError, WorkerError
from manifests.run.manifest import RunManifest, load_pass
from manifests.run.verify import verify
from manifests.storage import parts
from tests.engine.contract_steps import FAILURES, log_lines
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, part_tables, row_counts, run_engine, text_recipe

STEPS = "tests.engine.contract_steps:"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A thousand texts in two files, one of them with the word `poison`."""
    (tmp_path / "data").mkdir()
    for file in range(2):
        with open(tmp_path / f"data/{file}.jsonl", "w") as out:
            for n in range(500):
                words = "poison here" if (file, n) == (1, 77) else "word " * (n % 9 + 2)
                out.write(json.dumps({"text": f"{file} {n} {words}".strip()}) + "\n")
    return tmp_path


def run(base: Path, *steps: dict[str, Any], out: str = "out", **how: Any) -> RunManifest:
    made = run_engine(text_recipe(*steps), base, base / out, **how)
    assert verify(str(base / out)).faults == []
    return made


def step(kind: str, base: Path, **settings: Any) -> dict[str, Any]:
    return {STEPS + kind: {"folder": str(base), **settings}}


def quarantine(base: Path, out: str = "out") -> list[dict[str, Any]]:
    return parts.read_columns(str(base / out / "quarantine.arrow")).to_pylist()


def clear_log(base: Path) -> None:
    (base / "log").unlink(missing_ok=True)


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


def order(base: Path, out: str = "out") -> Any:
    from manifests.run.manifest import load_run
    from tests.runs import order_pass

    return order_pass(load_run(str(base / out)))


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_of_any_kind_on_one_row_costs_that_row_alone(base: Path, failure: str) -> None:
    made = run(base, step("FailsOnOne", base, failure=failure))
    kind = type(FAILURES[failure]).__name__
    assert row_counts(made)["FailsOnOne"] == (1000, 999, {}, {kind: 1})
    [lost] = quarantine(base)
    assert lost["origin"].endswith("1.jsonl#78")
    assert lost["error"] == kind
    assert lost["later"] is (failure == "timeout")
    assert log_lines(base).count("ask") == 1000


@pytest.mark.parametrize("failure", FAILURES)
def test_a_row_that_spoils_its_batch_is_found(base: Path, failure: str) -> None:
    made = run(base, step("FailsOnOne", base, failure=failure, one_by_one=False))
    kind = type(FAILURES[failure]).__name__
    assert row_counts(made)["FailsOnOne"] == (1000, 999, {}, {kind: 1})
    assert log_lines(base).count("ask") < 3000


def test_a_step_that_fails_on_many_rows_stops_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = [json.dumps({"text": f"poison {n}"}) for n in range(40)]
    (tmp_path / "data/a.jsonl").write_text("\n".join(rows))
    failing = step("FailsOnOne", tmp_path, failure="os", one_by_one=False)
    with pytest.raises(StepError, match=r"step FailsOnOne: OSError: .*HTTP Error 500.*a.jsonl#"):
        run_engine(text_recipe(failing), tmp_path, tmp_path / "out")


def test_retry_asks_the_rows_whose_error_was_transient_and_no_other(base: Path) -> None:
    made = run(base, step("AnswersLater", base))
    assert row_counts(made)["AnswersLater"] == (1000, 999, {}, {"TimeoutError": 1})
    clear_log(base)
    (base / "up").touch()
    made = run(base, step("AnswersLater", base))
    assert log_lines(base) == []
    made = run(base, step("AnswersLater", base), retry=True)
    assert log_lines(base) == ["ask"]
    assert row_counts(made)["AnswersLater"] == (1000, 1000, {}, {})
    fresh = run(base, step("AnswersLater", base), out="fresh")
    assert made.digest == fresh.digest


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


def test_a_row_of_which_a_reshape_step_makes_nothing_unsaid_is_an_error(base: Path) -> None:
    (base / "data/0.jsonl").write_text('{"text": "alone"}\n')
    with pytest.raises(
        StepError,
        match=r"step Halves: the step made no new record from .*, and gave neither a drop reason",
    ):
        run(base, {STEPS + "Halves": {"lose": True}})


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
    for kind, more in (
        ("Lengths", {"min": 30}),
        ("LongerThanMean", {}),
        ("FailsOnOne", {"failure": "os"}),
    ):
        [(key, settings)] = step(kind, base, **more).items()
        content = text_recipe(
            {key: {**settings, "only": {"source": "more"}}}, sources=[data, source]
        )
        made = run_engine(content, base, base / f"out-{kind}")
        account = next(a for a in made.ledger if a.step == kind)
        assert (account.rows_in, account.passed_over) == (1001, 1000)


def test_a_column_that_nothing_makes_is_refused_before_the_run(base: Path) -> None:
    settings = {"folder": ".", "only": {"words.cuont": 3}}
    with pytest.raises(RecipeError, match=r"no column 'words.cuont', .*words.count"):
        recipe.build(text_recipe({"words": {}}, {STEPS + "Lengths": settings}))


def test_a_step_of_the_old_form_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(
        RecipeError, match=r"OldForm does not define measure, measures .*write-a-step"
    ):
        recipe.build(text_recipe({STEPS + "OldForm": {}}))


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


def test_a_gpu_that_is_not_there_is_named(base: Path, ray: None) -> None:
    with RayExecutor(workers=2) as executor, pytest.raises(WorkerError, match="1 GPU"):
        run(base, step("WantsGpu", base), executor=executor)


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
    assert isinstance(table, pa.Table)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_captions(tmp_path / "data", files=1, rows=30)
    return tmp_path


def test_later_steps_read_the_bytes_that_a_step_stored(photos: Path) -> None:
    steps = [{STEPS + "Crops": {}}, "image_decodes", "image_hash"]
    made = run_engine(caption_recipe(steps=steps), photos, photos / "out")
    assert row_counts(made)["image_decodes"] == (30, 30, {}, {})
    assert [entry.name for entry in made.passes][1:3] == ["Crops", "image_decodes"]


def test_a_step_that_stores_bytes_has_to_declare_it(photos: Path) -> None:
    steps = [{STEPS + "UndeclaredCrops": {}}]
    with pytest.raises(
        StepError, match="the step stores bytes, but its class does not declare this"
    ):
        run_engine(caption_recipe(steps=steps), photos, photos / "out")


def test_a_record_cannot_be_replaced_and_dropped(base: Path) -> None:
    with pytest.raises(
        StepError, match=r"step Both: the step made new records from .*, but also dropped it"
    ):
        run(base, {STEPS + "Both": {}})


def test_a_step_is_not_asked_about_no_rows(base: Path) -> None:
    for only in ({"modality": "video"}, {"source": "data"}):
        made = run(base, {STEPS + "Stacks": {"only": only}}, out=f"out-{next(iter(only))}")
        assert row_counts(made)["Stacks"] == (1000, 1000, {}, {})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("load", r"step Fails, load: RuntimeError: no weights \(contract_steps.py, line \d+\)"),
        ("close", r"step Fails, close: RuntimeError: no way out \(contract_steps.py"),
        ("decide", r"step Fails, decide: KeyError: 'absent' \(contract_steps.py, line"),
        (
            "mask",
            r"step Fails: the drop reasons that the step returned are bool, not text. Make",
        ),
        ("columns", r"step Fails: the step returned 'count' as a list instead of an Arrow array"),
        (
            "dict",
            r"step Fails: the step returned a value of type list instead of a dict of columns",
        ),
        ("names", r"step Fails: the step returned the columns \['number'\], but it declares"),
    ],
)
def test_an_error_outside_the_rows_names_the_step_the_method_and_the_line(
    base: Path, where: str, message: str
) -> None:
    with pytest.raises(StepError, match=message):
        run(base, {STEPS + "Fails": {"where": where}})


@pytest.mark.parametrize("where", ["fit", "apply"])
def test_an_error_of_a_corpus_step_names_the_step_and_the_method(base: Path, where: str) -> None:
    with pytest.raises(StepError, match=rf"step FitFails, {where}: RuntimeError: no "):
        run(base, step("FitFails", base, where=where))


def test_an_error_names_what_a_reshape_step_or_apply_returned(base: Path) -> None:
    with pytest.raises(
        StepError,
        match="step ReturnsTable: the step returned a value of type Table instead of Reshaped",
    ):
        run(base, {STEPS + "ReturnsTable": {}})
    with pytest.raises(
        StepError,
        match="step FitFails, apply: the method returned a value of type dict instead of Outcome",
    ):
        run(base, step("FitFails", base, where="outcome"))


def test_a_bound_needs_a_default() -> None:
    with pytest.raises(RecipeError, match=r"'most' of .*Unbounded is marked Bound"):
        recipe.build(text_recipe({STEPS + "Unbounded": {"folder": ".", "most": 3}}))


def test_values_of_only_that_a_column_cannot_have_are_refused_before_the_run() -> None:
    steps = ({"words": {}}, {"characters": {"only": {"words.count": "many"}}})
    with pytest.raises(
        RecipeError, match=r"the values \['many'\] do not fit the column 'words.count'"
    ):
        recipe.build(text_recipe(*steps))


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


def test_the_error_budget_counts_errors_of_a_costly_step_part_by_part(base: Path) -> None:
    for file in range(2):
        rows = [json.dumps({"text": f"poison {file} {n}"}) for n in range(20)]
        (base / f"data/{file}.jsonl").write_text("\n".join(rows))
    content = text_recipe(step("AnswersLater", base)) | {"max_quarantined": 5}
    with pytest.raises(BudgetError, match="20 inputs were quarantined") as spent:
        run_engine(content, base, base / "out")
    assert log_lines(base).count("ask") == 20
    listed = parts.read_columns(str(base / "out/quarantine.arrow")).to_pylist()
    assert {(row["step"], row["error"]) for row in listed} == {("AnswersLater", "TimeoutError")}
    assert len(listed) == 20
    assert "20 of them may succeed now: run again with --retry." in str(spent.value)


def test_a_lower_error_budget_holds_for_parts_that_are_done(base: Path) -> None:
    for file in range(2):
        (base / f"data/{file}.jsonl").write_text('{"text": "poison"}\n{"text": "a text"}\n')
    content = text_recipe(step("AnswersLater", base))
    run_engine(content | {"max_quarantined": 2}, base, base / "out")
    with pytest.raises(BudgetError, match=r"2 inputs were quarantined.* 2 of them may succeed now"):
        run_engine(content | {"max_quarantined": 1}, base, base / "out")


def test_an_image_that_comes_back_is_embedded_by_retry(photos: Path) -> None:
    image = photos / "data/images/3.jpg"
    content = image.read_bytes()
    image.write_bytes(content[:-100])
    steps = caption_recipe(steps=["embed"])
    made = run_engine(steps, photos, photos / "out")
    assert row_counts(made)["embed"] == (30, 23, {}, {"MediaError": 7})
    image.write_bytes(content)
    made = run_engine(steps, photos, photos / "out", retry=True)
    assert row_counts(made)["embed"] == (30, 30, {}, {})


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
