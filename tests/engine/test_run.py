"""The promises of a run: accounts, same bytes, resuming, reuse of finished parts, budgets."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from manifests.errors import BudgetError, InputError, LockError, ManifestError, StepError
from manifests.run import manifest
from manifests.run.verify import verify
from manifests.storage import parts
from tests.make import make_image, write_captions
from tests.runs import caption_recipe, file_bytes, row_counts, run_engine


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_captions(tmp_path / "data")
    return tmp_path


def test_every_record_is_accounted_for_at_every_step(corpus: Path) -> None:
    made = run_engine(caption_recipe(), corpus, corpus / "out")
    assert row_counts(made) == {
        "read made": (120, 120, {}, {}),
        "words": (120, 102, {"too few words": 18}, {}),
        "image_shape": (102, 102, {}, {}),
        "write arrow": (102, 102, {}, {}),
    }
    assert verify(str(corpus / "out")).faults == []


def test_the_same_recipe_and_data_make_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    made = []
    for name in ("here", "there"):
        write_captions(tmp_path / name / "data")
        made.append(run_engine(caption_recipe(), tmp_path / name, tmp_path / name / "out"))
    assert (
        file_bytes(tmp_path / "here" / "out").keys()
        == file_bytes(tmp_path / "there" / "out").keys()
    )
    shards = [file_bytes(tmp_path / n / "out" / "shards") for n in ("here", "there")]
    assert shards[0] == shards[1]
    assert made[0].digest == made[1].digest


def _touched(out: Path, since: int) -> set[str]:
    """The part and shard files written after a time in nanoseconds."""
    return {
        str(path.relative_to(out))
        for path in out.rglob("*.arrow")
        if path.stat().st_mtime_ns > since and path.name != "quarantine.arrow"
    }


def test_a_second_run_with_nothing_changed_computes_nothing(corpus: Path) -> None:
    first = run_engine(caption_recipe(), corpus, corpus / "out")
    since = time.time_ns()
    second = run_engine(caption_recipe(), corpus, corpus / "out")
    assert _touched(corpus / "out", since) == set()
    assert second.digest == first.digest


def test_one_new_file_recomputes_its_own_parts_and_the_order(corpus: Path) -> None:
    run_engine(caption_recipe(), corpus, corpus / "out")
    time.sleep(0.02)
    since = time.time_ns()
    write_captions(corpus / "data", files=1, start=9)
    made = run_engine(caption_recipe(), corpus, corpus / "out")
    touched = [name for name in _touched(corpus / "out", since) if name.startswith("steps/0")]
    by_pass = sorted(name.split("/")[1].split("-")[1] for name in touched if "dropped" not in name)
    assert by_pass == ["made", "order", "words"]
    write_captions(corpus / "again/data", files=3)
    write_captions(corpus / "again/data", files=1, start=9)
    fresh = run_engine(caption_recipe(), corpus / "again", corpus / "fresh")
    assert file_bytes(corpus / "out" / "shards") == file_bytes(corpus / "fresh" / "shards")
    assert made.shards == fresh.shards


def test_removing_an_input_file_removes_its_records(corpus: Path) -> None:
    run_engine(caption_recipe(), corpus, corpus / "out")
    os.remove(corpus / "data" / "001.jsonl")
    made = run_engine(caption_recipe(), corpus, corpus / "out")
    assert row_counts(made)["read made"] == (80, 80, {}, {})
    assert verify(str(corpus / "out")).faults == []


def test_a_run_that_stops_after_an_input_was_removed_leaves_no_manifest_over_deleted_parts(
    tmp_path: Path,
) -> None:
    write_captions(tmp_path / "data", files=2, rows=5)
    (tmp_path / "data" / "broken.jsonl").write_text("{\n" * 6)
    out = tmp_path / "out"
    run_engine(caption_recipe(), tmp_path, out)
    (tmp_path / "data" / "000.jsonl").unlink()
    with pytest.raises(BudgetError, match="more than the error budget"):
        run_engine(caption_recipe(), tmp_path, out)
    assert not (out / "manifest.json").exists()


def test_a_changed_threshold_recomputes_from_its_pass_on(corpus: Path) -> None:
    steps = [{"words": {"min": 5}}, {"sample": {"records": 50}}, {"characters": {"min": 1}}]
    run_engine(caption_recipe(steps=steps), corpus, corpus / "out")
    time.sleep(0.02)
    since = time.time_ns()
    changed = [*steps[:2], {"characters": {"min": 2}}]
    run_engine(caption_recipe(steps=changed), corpus, corpus / "out")
    passes = {name.split("/")[1].split("-")[1] for name in _touched(corpus / "out", since)
              if name.startswith("steps/")}  # fmt: skip
    assert passes == {"characters", "order"}


def test_dropped_rows_keep_their_reason_and_what_was_measured(corpus: Path) -> None:
    run_engine(caption_recipe(), corpus, corpus / "out")
    entry = next(e for e in manifest.load_run(str(corpus / "out")).passes if e.kind == "rows")
    folder = corpus / "out" / entry.folder
    dropped = pa.concat_tables(
        parts.read_columns(str(path)) for path in sorted(folder.glob("*.dropped.arrow"))
    )
    assert dropped.num_rows == 18
    assert set(dropped["reason"].to_pylist()) == {"too few words"}
    assert set(dropped["words.count"].to_pylist()) == {4}
    assert set(dropped["step"].to_pylist()) == {"words"}


def test_a_corpus_step_sees_all_parts_and_its_drops_are_applied_while_reading(corpus: Path) -> None:
    steps = [{"tests.engine.pieces:Longest": {}}, {"words": {}}]
    made = run_engine(caption_recipe(steps=steps), corpus, corpus / "out")
    counts = row_counts(made)
    rows_in, kept, dropped, _ = counts["Longest"]
    assert rows_in == 120
    assert dropped == {"shorter": 120 - kept}
    assert counts["words"][0] == kept
    assert verify(str(corpus / "out")).faults == []


def test_two_corpus_steps_in_a_row_each_see_what_the_first_left(corpus: Path) -> None:
    steps = [{"sample": {"records": 60}}, {"sample": {"records": 20}}]
    made = run_engine(caption_recipe(steps=steps), corpus, corpus / "out")
    assert row_counts(made)["sample"][:2] == (120, 60)
    assert row_counts(made)["sample-2"][:2] == (60, 20)
    assert made.shards["arrow"].rows == 20


def test_a_sample_is_the_same_whatever_the_parts_and_grows_with_its_size(corpus: Path) -> None:
    def ids(rows: int, out: str) -> set[str]:
        made = run_engine(
            caption_recipe(steps=[{"sample": {"records": rows}}]), corpus, corpus / out
        )
        order = next(e for e in made.passes if e.kind == "order")
        found = (corpus / out / order.folder).glob("part-*.arrow")
        return {
            i for path in found for i in parts.read_columns(str(path), ("id",))["id"].to_pylist()
        }

    few, many = ids(10, "few"), ids(30, "many")
    assert len(few) == 10
    assert len(many) == 30
    assert few < many


def test_rows_that_a_reshape_step_makes_are_in_the_ledger(corpus: Path) -> None:
    made = run_engine(
        caption_recipe(steps=[{"tests.engine.pieces:Twice": {}}]), corpus, corpus / "out"
    )
    account = next(a for a in made.ledger if a.step == "Twice")
    assert (account.rows_in, account.made, account.kept) == (120, 120, 240)
    assert made.shards["arrow"].rows == 240
    assert verify(str(corpus / "out")).faults == []


def test_a_reshape_step_that_fails_on_one_row_quarantines_that_row_alone(corpus: Path) -> None:
    rows = [{"caption": c, "image": "images/0.jpg"} for c in ("one", "poison here", "three")]
    (corpus / "data" / "zzz.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = run_engine(
        caption_recipe(steps=[{"tests.engine.pieces:Twice": {}}]), corpus, corpus / "out"
    )
    account = next(a for a in made.ledger if a.step == "Twice")
    assert (account.rows_in, account.made, account.kept) == (123, 122, 244)
    assert account.quarantined == {"ValueError": 1}
    (row,) = parts.read_columns(str(corpus / "out" / "quarantine.arrow")).to_pylist()
    assert (row["origin"], row["step"]) == ("data/zzz.jsonl#2", "Twice")
    assert row["message"] == "cannot copy a text with 'poison'"
    assert verify(str(corpus / "out")).faults == []
    only = {"tests.engine.pieces:Twice": {"word": " ", "only": {"source": "made"}}}
    with pytest.raises(StepError, match="failed on more than 16 rows"):
        run_engine(caption_recipe(steps=[only]), corpus, corpus / "other")


def test_rows_outside_only_are_kept(corpus: Path) -> None:
    write_captions(corpus / "more", files=1)
    both = caption_recipe()
    both["sources"] = [
        both["sources"][0],
        both["sources"][0] | {"name": "more", "path": "more/*.jsonl", "media_root": "more"},
    ]
    both["steps"] = [{"words": {"min": 5, "only": {"source": "more"}}}]
    made = run_engine(both, corpus, corpus / "out")
    assert row_counts(made)["words"] == (160, 154, {"too few words": 6}, {})


def test_a_step_that_fails_on_one_row_quarantines_that_row_alone(corpus: Path) -> None:
    rows = [{"caption": c, "image": "images/0.jpg"} for c in ("one", "poison here", "three")]
    (corpus / "data" / "zzz.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = run_engine(
        caption_recipe(steps=[{"tests.engine.pieces:Broken": {}}]), corpus, corpus / "out"
    )
    assert row_counts(made)["Broken"] == (123, 122, {}, {"ValueError": 1})
    (row,) = parts.read_columns(str(corpus / "out" / "quarantine.arrow")).to_pylist()
    assert row["message"] == "cannot judge 'poison here'"
    assert row["origin"] == "data/zzz.jsonl#2"


def test_a_step_that_fails_on_everything_stops_the_run(corpus: Path) -> None:
    steps = [{"tests.engine.pieces:Broken": {"word": " "}}]
    with pytest.raises(StepError, match="failed on more than 16 rows"):
        run_engine(caption_recipe(steps=steps), corpus, corpus / "out")


def test_an_outcome_with_too_few_rows_is_an_error_not_a_drop(corpus: Path) -> None:
    with pytest.raises(StepError, match="the step returned 39 values of 'count' for 40 rows"):
        run_engine(
            caption_recipe(steps=[{"tests.engine.pieces:Misaligned": {}}]), corpus, corpus / "out"
        )


@pytest.mark.parametrize(("budget", "spent"), [(0.1, True), (0.3, False), (10, True), (31, False)])
def test_a_spent_error_budget_fails_the_run(corpus: Path, budget: float, spent: bool) -> None:
    missing = [{"caption": f"no image {n}", "image": f"gone/{n}.jpg"} for n in range(30)]
    (corpus / "data" / "zzz.jsonl").write_text("\n".join(map(json.dumps, missing)))
    what = caption_recipe(max_quarantined=budget)
    if spent:
        with pytest.raises(BudgetError, match="30 inputs were quarantined"):
            run_engine(what, corpus, corpus / "out")
        assert parts.read_columns(str(corpus / "out" / "quarantine.arrow")).num_rows == 30
    else:
        assert row_counts(run_engine(what, corpus, corpus / "out"))["read made"][3] == {
            "MediaError": 30
        }


def test_a_budget_that_is_lowered_below_what_was_quarantined_leaves_no_manifest(
    corpus: Path,
) -> None:
    (corpus / "data" / "zzz.jsonl").write_text("{\n{\n")
    steps = [{"tests.engine.pieces:Broken": {}}]
    run_engine(caption_recipe(steps=steps), corpus, corpus / "out")
    with pytest.raises(BudgetError, match="2 inputs were quarantined"):
        run_engine(caption_recipe(steps=steps, max_quarantined=1), corpus, corpus / "out")
    assert not (corpus / "out" / "manifest.json").exists()


def test_a_missing_folder_is_an_error_not_an_empty_success(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/\*.jsonl: no file matches the pattern"):
        run_engine(caption_recipe(path="nowhere/*.jsonl"), tmp_path, tmp_path / "out")


def test_shards_without_rows_can_be_opened(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1, rows=1)
    made = run_engine(caption_recipe(steps=[{"words": {"min": 99}}]), tmp_path, tmp_path / "out")
    assert made.shards["arrow"].rows == 0
    datasets = pytest.importorskip("datasets")
    assert len(datasets.load_from_disk(str(tmp_path / "out" / "shards"))) == 0


def test_retry_repeats_only_parts_with_quarantined_inputs(corpus: Path) -> None:
    late = [{"caption": "an image that comes later", "image": "late.jpg"}]
    (corpus / "data" / "zzz.jsonl").write_text("\n".join(map(json.dumps, late)))
    assert row_counts(run_engine(caption_recipe(), corpus, corpus / "out"))["read made"][3] == {
        "MediaError": 1
    }
    (corpus / "data" / "late.jpg").write_bytes(make_image())
    assert row_counts(run_engine(caption_recipe(), corpus, corpus / "out"))["read made"][3] == {
        "MediaError": 1
    }
    since = time.time_ns()
    made = run_engine(caption_recipe(), corpus, corpus / "out", retry=True)
    assert row_counts(made)["read made"] == (121, 121, {}, {})
    read = [name for name in _touched(corpus / "out", since) if "00-made" in name]
    assert len(read) == 1


def test_going_back_to_an_earlier_recipe_writes_its_shards_again(corpus: Path) -> None:
    run_engine(caption_recipe(seed=17), corpus, corpus / "out")
    first = file_bytes(corpus / "out" / "shards")
    run_engine(caption_recipe(seed=18), corpus, corpus / "out")
    assert file_bytes(corpus / "out" / "shards") != first
    made = run_engine(caption_recipe(seed=17), corpus, corpus / "out")
    assert file_bytes(corpus / "out" / "shards") == first
    assert verify(str(corpus / "out")).faults == []
    assert made.digest == run_engine(caption_recipe(seed=17), corpus, corpus / "out").digest


def test_shards_of_an_earlier_count_are_deleted(corpus: Path) -> None:
    run_engine(caption_recipe(shards={"shard_bytes": 20_000}), corpus, corpus / "out")
    many = file_bytes(corpus / "out" / "shards")
    run_engine(caption_recipe(), corpus, corpus / "out")
    assert len([name for name in many if name.endswith(".arrow")]) > 1
    names = {name for name in file_bytes(corpus / "out" / "shards") if name.endswith(".arrow")}
    assert names == {"data-00000-of-00001.arrow"}


def test_an_unfinished_run_has_no_manifest(corpus: Path) -> None:
    run_engine(caption_recipe(), corpus, corpus / "out")
    with pytest.raises(StepError):
        run_engine(
            caption_recipe(steps=[{"tests.engine.pieces:Misaligned": {}}]), corpus, corpus / "out"
        )
    with pytest.raises(ManifestError, match="the run in this folder has not finished"):
        manifest.load_run(str(corpus / "out"))


def test_a_pass_without_its_manifest_is_named_and_not_the_run(corpus: Path) -> None:
    run_engine(caption_recipe(), corpus, corpus / "out")
    made = manifest.load_run(str(corpus / "out"))
    (corpus / "out" / made.passes[0].folder / manifest.NAME).unlink()
    with pytest.raises(ManifestError, match=r"the manifest of the pass is missing.* same output f"):
        manifest.load_pass_of(str(corpus / "out"), made.passes[0])


def test_a_run_whose_folder_another_run_took_over_writes_no_manifest(corpus: Path) -> None:
    steps = [{"tests.engine.pieces:TakenOver": {"folder": str(corpus / "out")}}]
    with pytest.raises(LockError, match="another run has taken over this folder"):
        run_engine(caption_recipe(steps=steps), corpus, corpus / "out")
    assert not (corpus / "out" / "manifest.json").exists()
