"""What a step raises or returns wrongly costs a row or stops the run, and names the step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate import recipe
from curate.engine.halving import MAX_FAILED_ROWS
from curate.engine.ray import RayExecutor
from manifests.errors import BudgetError, RecipeError, StepError, WorkerError
from manifests.storage import parts
from tests.engine.contract_runs import (
    FAILING,
    STEPS,
    clear_log,
    failing_step,
    quarantine,
    run,
    step,
    thirty_photos,  # noqa: F401
    thousand_texts,  # noqa: F401
)
from tests.engine.contract_steps import log_lines
from tests.engine.failing_steps import FAILURES, MACHINE
from tests.runs import caption_recipe, row_counts, run_engine, text_recipe


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_of_any_kind_on_one_row_costs_that_row_alone(base: Path, failure: str) -> None:
    made = run(base, failing_step("FailsOnOne", base, failure=failure))
    kind = type(FAILURES[failure]).__name__
    assert row_counts(made)["FailsOnOne"] == (1000, 999, {}, {kind: 1})
    [lost] = quarantine(base)
    assert lost["origin"].endswith("1.jsonl#78")
    assert lost["error"] == kind
    assert lost["later"] is (failure == "timeout")
    assert log_lines(base).count("ask") == 1000


@pytest.mark.parametrize("failure", FAILURES)
def test_a_row_that_spoils_its_batch_is_found(base: Path, failure: str) -> None:
    made = run(base, failing_step("FailsOnOne", base, failure=failure, one_by_one=False))
    kind = type(FAILURES[failure]).__name__
    assert row_counts(made)["FailsOnOne"] == (1000, 999, {}, {kind: 1})
    assert log_lines(base).count("ask") < 3000


def test_a_step_that_fails_on_many_rows_stops_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = [json.dumps({"text": f"poison {n}"}) for n in range(MAX_FAILED_ROWS + 1)]
    data = tmp_path / "data/a.jsonl"
    data.write_text("\n".join(rows))
    failing = text_recipe(failing_step("FailsOnOne", tmp_path, failure="os", one_by_one=False))
    failing["max_quarantined"] = 20
    with pytest.raises(StepError, match=r"step FailsOnOne: OSError: .*HTTP Error 500.*a.jsonl#"):
        run_engine(failing, tmp_path, tmp_path / "out")
    data.write_text("\n".join(rows[1:]))
    made = run_engine(failing, tmp_path, tmp_path / "out")
    assert row_counts(made)["FailsOnOne"] == (16, 0, {}, {"OSError": 16})


def test_retry_asks_the_rows_whose_error_was_transient_and_no_other(base: Path) -> None:
    made = run(base, failing_step("AnswersLater", base))
    assert row_counts(made)["AnswersLater"] == (1000, 999, {}, {"TimeoutError": 1})
    clear_log(base)
    (base / "up").touch()
    made = run(base, failing_step("AnswersLater", base))
    assert log_lines(base) == []
    made = run(base, failing_step("AnswersLater", base), retry=True)
    assert log_lines(base) == ["ask"]
    assert row_counts(made)["AnswersLater"] == (1000, 1000, {}, {})
    fresh = run(base, failing_step("AnswersLater", base), out="fresh")
    assert made.digest == fresh.digest


def test_the_error_budget_counts_errors_of_a_costly_step_part_by_part(base: Path) -> None:
    for file in range(2):
        rows = [json.dumps({"text": f"poison {file} {n}"}) for n in range(20)]
        (base / f"data/{file}.jsonl").write_text("\n".join(rows))
    content = text_recipe(failing_step("AnswersLater", base)) | {"max_quarantined": 5}
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
    content = text_recipe(failing_step("AnswersLater", base))
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


def test_a_row_of_which_a_reshape_step_makes_nothing_unsaid_is_an_error(base: Path) -> None:
    (base / "data/0.jsonl").write_text('{"text": "alone"}\n')
    with pytest.raises(
        StepError,
        match=r"step Halves: the step made no new record from .*, and gave neither a drop reason",
    ):
        run(base, {STEPS + "Halves": {"lose": True}})


def test_a_reshape_step_that_makes_records_without_an_id_is_refused(base: Path) -> None:
    with pytest.raises(StepError, match=r"step NoId: .* the id None, .*record\.child_ids"):
        run(base, {FAILING + "NoId": {}})


def test_a_record_cannot_be_replaced_and_dropped(base: Path) -> None:
    with pytest.raises(
        StepError, match=r"step Both: the step made new records from .*, but also dropped it"
    ):
        run(base, {FAILING + "Both": {}})


def test_a_step_that_stores_bytes_has_to_declare_it(photos: Path) -> None:
    steps = [{FAILING + "UndeclaredCrops": {}}]
    with pytest.raises(
        StepError, match="the step stores bytes, but its class does not declare this"
    ):
        run_engine(caption_recipe(steps=steps), photos, photos / "out")


def test_a_gpu_that_is_not_there_is_named(base: Path, ray: None) -> None:
    with RayExecutor(workers=2) as executor, pytest.raises(WorkerError, match="1 GPU"):
        run(base, step("WantsGpu", base), executor=executor)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("load", r"step Fails, load: RuntimeError: no weights \(failing_steps.py, line \d+\)"),
        ("close", r"step Fails, close: RuntimeError: no way out \(failing_steps.py"),
        ("decide", r"step Fails, decide: KeyError: 'absent' \(failing_steps.py, line"),
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
        run(base, {FAILING + "Fails": {"where": where}})


@pytest.mark.parametrize("where", ["fit", "apply"])
def test_an_error_of_a_corpus_step_names_the_step_and_the_method(base: Path, where: str) -> None:
    with pytest.raises(StepError, match=rf"step FitFails, {where}: RuntimeError: no "):
        run(base, failing_step("FitFails", base, where=where))


def test_an_error_names_what_a_reshape_step_or_apply_returned(base: Path) -> None:
    with pytest.raises(
        StepError,
        match="step ReturnsTable: the step returned a value of type Table instead of Reshaped",
    ):
        run(base, {FAILING + "ReturnsTable": {}})
    with pytest.raises(
        StepError,
        match="step FitFails, apply: the method returned a value of type dict instead of Outcome",
    ):
        run(base, failing_step("FitFails", base, where="outcome"))


def test_a_column_that_nothing_makes_is_refused_before_the_run(base: Path) -> None:
    settings = {"folder": ".", "only": {"words.cuont": 3}}
    with pytest.raises(RecipeError, match=r"no column 'words.cuont', .*words.count"):
        recipe.build(text_recipe({"words": {}}, {STEPS + "Lengths": settings}))


def test_a_step_of_the_old_form_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(
        RecipeError, match=r"OldForm does not define measure, measures .*write-a-step"
    ):
        recipe.build(text_recipe({FAILING + "OldForm": {}}))


def test_a_bound_needs_a_default() -> None:
    with pytest.raises(RecipeError, match=r"'most' of .*Unbounded is marked Bound"):
        recipe.build(text_recipe({FAILING + "Unbounded": {"folder": ".", "most": 3}}))


def test_values_of_only_that_a_column_cannot_have_are_refused_before_the_run() -> None:
    steps = ({"words": {}}, {"characters": {"only": {"words.count": "many"}}})
    with pytest.raises(
        RecipeError, match=r"the values \['many'\] do not fit the column 'words.count'"
    ):
        recipe.build(text_recipe(*steps))


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("failure", MACHINE)
def test_an_error_of_the_machine_is_no_verdict_on_a_row(
    tmp_path: Path, failure: str, one_by_one: bool
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text('{"text": "one text"}\n')
    needy = text_recipe({f"{FAILING}NeedsMachine": {"failure": failure, "one_by_one": one_by_one}})
    with pytest.raises(StepError, match=r"step NeedsMachine: .* a limit of this machine"):
        run_engine(needy, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()
