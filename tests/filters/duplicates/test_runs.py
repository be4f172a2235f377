"""Whole runs: the ledger, the files, and the measures that later steps see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filters.duplicates.duplicates import Duplicates
from manifests.errors import StepError
from manifests.run import manifest
from manifests.run.verify import verify
from manifests.step import Context, Outcome, TaskResult
from manifests.storage import parts
from tests.filters.duplicates import planted
from tests.filters.duplicates.brute_force import connected, jaccard, shingles, strongest_paths
from tests.filters.duplicates.outcomes import RecordOutcome, families, outcomes_of_run
from tests.make import write_texts
from tests.runs import (
    file_bytes,
    row_counts,
    run_engine,
    run_steps,
    text_recipe,
    text_source,
    texts_kept,
    texts_read,
)

MINHASH: dict[str, Any] = {"by": "minhash", "threshold": 0.7, "bands": 40, "rows": 3, "keep": "id"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_texts(tmp_path / "data", planted.texts(1))
    return tmp_path


def test_every_dropped_record_names_its_survivor_and_the_similarity(
    base: Path,
) -> None:
    made = run_steps(base, "out", {"duplicates": MINHASH})
    found, text = outcomes_of_run(base, "out"), texts_read(base, "out")
    gone = {key: one for key, one in found.items() if not one.stays}
    assert row_counts(made)["duplicates"] == (80, 80 - len(gone), {"duplicate": len(gone)}, {})
    assert found.keys() == text.keys()
    pairs = {
        frozenset((a, b)): share
        for a in text for b in text
        if a < b and (share := jaccard(text[a], text[b]) or 0) >= 0.7
    }  # fmt: skip
    assert families(found) == connected(pairs)
    for key, one in gone.items():
        assert one.survivor is not None
        assert one.of is not None
        assert found[one.survivor].stays
        assert one.similarity == pytest.approx(pairs[frozenset((key, one.of))])
        assert one.similarity >= strongest_paths(pairs)[frozenset((key, one.survivor))] - 1e-6
    for family in families(found):
        assert {found[key].family for key in family} == {len(family)}


def test_no_two_records_that_stay_are_similar(base: Path) -> None:
    run_steps(base, "out", {"duplicates": MINHASH})
    left = [shingles(text) for text in texts_kept(base, "out")]
    assert len(left) > 25
    assert all(len(a & b) / len(a | b) < 0.7 for n, a in enumerate(left) for b in left[:n])


def test_a_second_step_gets_the_records_the_first_kept_and_a_name_of_its_own(base: Path) -> None:
    steps: list[dict[str, Any]] = [{"duplicates": {"by": "text"}}, {"duplicates": MINHASH}]
    found = row_counts(run_steps(base, "out", *steps))
    left = found["duplicates"][1]
    assert found["duplicates"][0] == 80 > left
    assert found["duplicates-2"][0] == left > found["duplicates-2"][1]
    assert set(outcomes_of_run(base, "out", "duplicates-2")) < set(texts_read(base, "out"))


def test_a_row_step_between_two_corpus_steps_gets_the_records_kept(base: Path) -> None:
    last = {"duplicates": {**MINHASH, "keep": "-words.count"}}
    steps: list[dict[str, Any]] = [{"duplicates": {"by": "text"}}, {"words": {}}, last]
    made = run_steps(base, "out", *steps)
    found, text = outcomes_of_run(base, "out", "duplicates-2"), texts_read(base, "out")
    for family in families(found):
        (stays,) = (key for key in family if found[key].stays)
        assert len(text[stays].split()) == max(len(text[key].split()) for key in family)
    assert row_counts(made)["words"][0] == row_counts(made)["duplicates"][1]


def test_with_only_some_records_are_compared_and_all_others_stay(base: Path) -> None:
    write_texts(base / "more", planted.texts(1))
    both = [text_source(), text_source("more")]
    only = {"duplicates": {"by": "text", "only": {"source": "more"}}}
    made = run_steps(base, "out", only, sources=both)
    alone = run_steps(base, "alone", {"duplicates": {"by": "text"}}, sources=both[1:])
    dropped = row_counts(alone)["duplicates"][2]["duplicate"]
    assert row_counts(made)["duplicates"] == (160, 160 - dropped, {"duplicate": dropped}, {})
    found = outcomes_of_run(base, "out")
    assert {one.family for one in found.values()} - {None} == {
        one.family for one in outcomes_of_run(base, "alone").values()
    }
    sources = {row["source"] for row in _gone(base, "out")}
    assert sources == {"more"}


def _gone(base: Path, out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((base / out).glob("steps/*duplicates*/*.dropped.arrow")):
        found += parts.read_columns(str(path)).to_pylist()
    return found


def test_keep_can_prefer_a_source(base: Path) -> None:
    write_texts(base / "more", [text.upper() for text in planted.texts(1)])
    both = [text_source(), text_source("more")]
    step = {"duplicates": {"by": "text", "keep": {"source": ["more", "data"]}}}
    run_steps(base, "out", step, sources=both)
    assert {row["source"] for row in _gone(base, "out")} == {"data", "more"}
    assert all(text == text.upper() for text in texts_kept(base, "out"))


def test_a_corpus_without_duplicates_or_without_rows_is_valid(tmp_path: Path) -> None:
    write_texts(tmp_path / "data", ["one", "two", "three"])
    made = run_steps(
        tmp_path, "out", {"duplicates": {"by": "minhash"}}, {"duplicates": {"by": "text"}}
    )
    assert row_counts(made)["duplicates"] == row_counts(made)["duplicates-2"] == (3, 3, {}, {})
    made = run_steps(tmp_path, "none", {"words": {"min": 99}}, {"duplicates": MINHASH})
    assert row_counts(made)["duplicates"] == (0, 0, {}, {})


def test_a_second_run_computes_nothing_and_other_settings_only_the_step(base: Path) -> None:
    first = run_steps(base, "out", {"duplicates": MINHASH})
    before = file_bytes(base / "out")
    assert run_steps(base, "out", {"duplicates": MINHASH}).digest == first.digest
    assert file_bytes(base / "out") == before
    other = run_steps(base, "out", {"duplicates": {**MINHASH, "threshold": 0.9}})
    assert row_counts(other)["duplicates"][1] > row_counts(first)["duplicates"][1]
    assert run_steps(base, "out", {"duplicates": MINHASH}).digest == first.digest


def test_a_run_stopped_within_the_step_continues_after_the_last_finished_task(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_steps(base, "whole", {"duplicates": MINHASH})
    from filters.duplicates.phases import candidates

    true, done = candidates.FindCandidates.__call__, []

    def stops(self: Any, task: Any, folder: str) -> TaskResult:
        raise StepError("stopped", "here")

    monkeypatch.setattr(candidates.FindCandidates, "__call__", stops)
    with pytest.raises(StepError, match="stopped"):
        run_engine(text_recipe({"duplicates": MINHASH}), base, base / "out")
    (work,) = (base / "out").glob("steps/*/work")
    stamps = {
        p: p.stat().st_mtime_ns for p in work.glob("*/*") if p.parent.name in ("ranges", "equal")
    }
    assert len(stamps) >= 8

    def counts(self: Any, task: Any, folder: str) -> TaskResult:
        done.append({p: p.stat().st_mtime_ns for p in stamps})
        return true(self, task, folder)

    monkeypatch.setattr(candidates.FindCandidates, "__call__", counts)
    run_steps(base, "out", {"duplicates": MINHASH})
    assert done
    assert done[0] == stamps
    assert file_bytes(base / "out") == file_bytes(base / "whole")


@pytest.mark.parametrize("parts_done", [0, 1, 2])
def test_a_run_stopped_between_two_parts_continues_to_the_same_bytes(
    base: Path, monkeypatch: pytest.MonkeyPatch, parts_done: int
) -> None:
    indexed = {"duplicates": {**MINHASH, "index": True}}
    run_steps(base, "whole", indexed)
    true, done = Duplicates.apply, []

    def stops(self: Duplicates, rows: Any, fit: Any, context: Context) -> Outcome:
        outcome = true(self, rows, fit, context)
        if len(done) == parts_done:
            raise StepError("stopped", "here")
        done.append(context.part)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Duplicates, "apply", stops)
        with pytest.raises(StepError, match="stopped"):
            run_engine(text_recipe(indexed), base, base / "out")
    assert len(done) == parts_done
    run_steps(base, "out", indexed)
    assert file_bytes(base / "out") == file_bytes(base / "whole")


def test_files_of_a_stopped_run_over_another_corpus_are_not_used(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filters.duplicates import duplicates as step

    def stops(*_: Any) -> None:
        raise StepError("stopped", "here")

    monkeypatch.setattr(step, "write_outcomes", stops)
    with pytest.raises(StepError, match="stopped"):
        run_engine(text_recipe({"duplicates": MINHASH}), base, base / "out")
    monkeypatch.undo()
    write_texts(base / "data", planted.texts(2))
    run_steps(base, "out", {"duplicates": MINHASH})
    run_steps(base, "fresh", {"duplicates": MINHASH})
    assert outcomes_of_run(base, "out") == outcomes_of_run(base, "fresh")


def test_verify_finds_a_damaged_sidecar_or_index(base: Path) -> None:
    run_steps(base, "out", {"duplicates": {**MINHASH, "index": True}})
    files = sorted((base / "out").glob("steps/*duplicates*/*.arrow"))
    indexes = [path for path in files if path.name.endswith(".index.arrow")]
    assert len(indexes) == 3
    assert len(files) > 6
    for path in (indexes[1], files[0]):
        whole = path.read_bytes()
        path.write_bytes(whole[:-20] + bytes(20))
        assert [fault.place for fault in verify(str(base / "out")).faults] == [str(path)]
        path.write_bytes(whole)
    indexes[0].unlink()
    assert [fault.fault for fault in verify(str(base / "out")).faults] == ["the file is missing"]


def test_a_missing_index_is_made_again(base: Path) -> None:
    run_steps(base, "out", {"duplicates": {**MINHASH, "index": True}})
    before = file_bytes(base / "out")
    next((base / "out").glob("steps/*/*.index.arrow")).unlink()
    run_steps(base, "out", {"duplicates": {**MINHASH, "index": True}})
    assert file_bytes(base / "out") == before


def test_later_steps_see_the_measures_of_kept_records(base: Path) -> None:
    made = run_steps(base, "out", {"duplicates": MINHASH}, {"words": {}})
    entry = next(e for e in made.passes if e.kind == "rows")
    folder = base / "out" / entry.folder
    names = manifest.load_pass(str(folder)).parts[0].files[0].name
    table = parts.read_columns(str(folder / names))
    assert {f"duplicates.{m}" for m in ("survivor", "of", "similarity", "family")} < set(
        table.column_names
    )
    assert table["duplicates.survivor"].null_count == table.num_rows
    assert {RecordOutcome(family=n) for n in table["duplicates.family"].to_pylist()} > {
        RecordOutcome()
    }
