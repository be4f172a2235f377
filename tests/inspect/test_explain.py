"""`curate explain`: the story of records that costly, corpus and reshape steps saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from curate.inspect.explain import explain
from curate.inspect.find_record import FoundRecord, StoredRow, ambiguous
from curate.inspect.step_events import MAY_SUCCEED
from manifests import record
from manifests.errors import InputError
from manifests.run.manifest import load_run
from manifests.step import Columns, Context, Corpus, CorpusStep, Outcome, RowStep, Workspace
from manifests.storage import parts
from tests.engine.contract_runs import failing_step
from tests.ingest.tars import JPEG, shard
from tests.make import write_json_lines, write_texts
from tests.runs import (
    curate,
    order_pass,
    part_tables,
    run_engine,
    run_steps,
    text_recipe,
    text_source,
    texts_read,
    write_recipe,
)

CONTRACT = "tests.engine.contract_steps:"
PIECES = "tests.engine.pieces:"
TEXTS = [f"{n} " + "word " * (n % 9) for n in range(40)]
HERE = "tests.inspect.test_explain:"


class Relabel(RowStep):
    """Write a language, in one pass with other steps."""

    rewrites: ClassVar[tuple[str, ...]] = ("language",)

    to: str = "xx"

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64(), "half": pa.float32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        rows, texts = batch.num_rows, record.texts(batch["content"])
        return {
            "language": pa.repeat(self.to, rows),
            "count": pc.utf8_length(texts).cast(pa.int64()),
            "half": pa.repeat(pa.scalar(0.1, pa.float32()), rows),
        }


class CostlyRelabel(Relabel):
    """As `Relabel`, in passes of its own."""

    costs: ClassVar[bool] = True


class CorpusRelabel(CorpusStep):
    """As `Relabel`, in a pass of its own."""

    rewrites: ClassVar[tuple[str, ...]] = ("language",)

    to: str = "xx"

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> None:
        return None

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        assert context.part is not None
        return Outcome({"language": pa.repeat(self.to, context.part.rows)}, None)


def contract(kind: str, base: Path, **settings: Any) -> dict[str, Any]:
    own = {} if kind == "Halves" else {"folder": str(base)}
    return {CONTRACT + kind: {**own, **settings}}


def story(base: Path, wanted: str) -> list[tuple[str, str]]:
    return [(event.step, event.what) for event in explain(str(base / "out"), wanted).events]


def kept_rows(base: Path) -> list[dict[str, Any]]:
    tables = part_tables(base / "out", order_pass(load_run(str(base / "out"))))
    return [row for table in tables for row in table.to_pylist()]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_texts(tmp_path / "data", TEXTS, 2)
    return tmp_path


def test_a_new_record_begins_with_the_reshape_step_and_ends_in_a_shard(base: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"words": {"min": 0}}, contract("Halves", base), {"characters": {"min": 1}},
        contract("Lengths", base), contract("LongerThanMean", base), {"words": {"min": 1}},
    ]  # fmt: skip
    run_steps(base, "out", *steps)
    rows = kept_rows(base)
    assert len(rows) > 20
    for row in rows[:5]:
        assert story(base, row["id"]) == [
            ("Halves", "made from"), ("characters", "kept"), ("Lengths", "kept"),
            ("LongerThanMean", "kept"), ("words-2", "kept"), ("shards", "written"),
        ]  # fmt: skip
        events = explain(str(base / "out"), row["id"]).events
        facts: dict[str, Any] = {}
        for event in events:
            facts |= event.facts
        assert {n: facts[n] for n in ("Lengths.count", "LongerThanMean.mean", "words-2.count")} == {
            n: row[n] for n in ("Lengths.count", "LongerThanMean.mean", "words-2.count")
        }


def test_a_parent_ends_where_other_records_were_made_from_it(base: Path) -> None:
    run_steps(base, "out", contract("Lengths", base), {"words": {"min": 0}},
              contract("Halves", base), {"characters": {"min": 1}},
              contract("LongerThanMean", base))  # fmt: skip
    assert story(base, "data/000.jsonl#2") == [
        ("read data", "read"), ("Lengths", "kept"), ("words", "kept"),
        ("Halves", "made into other records"),
    ]  # fmt: skip


def test_a_new_record_that_its_own_pass_dropped_is_found(base: Path) -> None:
    run_steps(base, "out", {PIECES + "Twice": {}}, {"words": {"min": 3}})
    ids = texts_read(base, "out")
    path = next((base / "out").glob("steps/*/part-*.dropped.arrow"))
    dropped = [r for r in parts.read_columns(str(path)).to_pylist() if r["id"] not in ids]
    found = explain(str(base / "out"), dropped[0]["id"])
    assert [(e.step, e.what) for e in found.events] == [
        ("Twice", "made from"), ("words", "dropped"),
    ]  # fmt: skip
    assert found.events[1].facts["words.count"] == dropped[0]["words.count"]
    assert found.record is None


def test_the_steps_of_every_kind_show_what_they_measured_of_a_kept_record(base: Path) -> None:
    run_steps(base, "out", contract("Lengths", base, min=4), contract("LongerThanMean", base),
              contract("Lengths", base), {"words": {}})  # fmt: skip
    rows = kept_rows(base)
    assert rows
    for row in rows:
        events = {e.step: e for e in explain(str(base / "out"), row["id"]).events}
        for step, measure in (("Lengths", "count"), ("LongerThanMean", "mean"),
                              ("Lengths-2", "count"), ("words", "count")):  # fmt: skip
            assert events[step].what == "kept"
            assert events[step].facts[f"{step}.{measure}"] == row[f"{step}.{measure}"]


def test_a_record_that_a_sidecar_drops_shows_all_its_measures(base: Path) -> None:
    run_steps(base, "out", {"words": {}}, contract("Lengths", base, min=20))
    found = explain(str(base / "out"), "data/000.jsonl#1").events
    assert [(e.step, e.what) for e in found[1:]] == [("words", "kept"), ("Lengths", "dropped")]
    assert found[1].facts["words.count"] == 1
    assert found[2].facts["reason"] == "short"
    assert found[2].facts["Lengths.count"] == len(TEXTS[0])


def test_only_on_a_measure_of_a_sidecar_is_evaluated(base: Path) -> None:
    by_length = {"only": {"Lengths.count": [len(TEXTS[0])]}}
    run_steps(base, "out", contract("Lengths", base), contract("LongerThanMean", base, **by_length),
              failing_step("FailsOnOne", base, failure="value", **by_length))  # fmt: skip
    short, long = story(base, "data/000.jsonl#1"), story(base, "data/000.jsonl#2")
    assert short[2:4] == [("LongerThanMean", "kept"), ("FailsOnOne", "kept")]
    assert long[2:4] == [("LongerThanMean", "passed over"), ("FailsOnOne", "passed over")]
    found = explain(str(base / "out"), "data/000.jsonl#2")
    assert found.record is not None
    count = len(found.record["content"][0]["text"])
    assert found.events[2].facts == {"Lengths.count": count, **by_length}


@pytest.mark.parametrize("kind", ["Relabel", "CorpusRelabel"])
def test_only_is_evaluated_as_the_record_was_before_a_step_that_rewrites(
    base: Path, kind: str
) -> None:
    steps: list[dict[str, Any]] = [
        {HERE + kind: {"to": "aa", "only": {"source": "data"}}},
        {HERE + kind: {"to": "bb", "only": {"language": ["aa"]}}},
        {"words": {"only": {"language": "aa"}}},
        {"characters": {"min": 0, "only": {"language": "bb"}}},
    ]
    run_steps(base, "out", *steps)
    assert story(base, "data/000.jsonl#1")[1:] == [
        (kind, "kept"), (f"{kind}-2", "kept"), ("words", "passed over"), ("characters", "kept"),
        ("shards", "written"),
    ]  # fmt: skip


def test_what_a_costly_step_rewrites_is_known_to_the_steps_after_it(base: Path) -> None:
    costly = HERE + "CostlyRelabel"
    run_steps(base, "out", {costly: {"to": "aa"}}, {"words": {"only": {"language": "aa"}}},
              {costly: {"to": "bb"}}, {"words": {"only": {"language": "aa"}}})  # fmt: skip
    assert story(base, "data/000.jsonl#1")[1:] == [
        ("CostlyRelabel", "kept"), ("words", "kept"), ("CostlyRelabel-2", "kept"),
        ("words-2", "passed over"), ("shards", "written"),
    ]  # fmt: skip


def test_only_compares_values_as_the_run_does(base: Path) -> None:
    run_steps(base, "out", {HERE + "Relabel": {}}, {"words": {"only": {"Relabel.half": 0.1}}},
              {"characters": {"min": 0, "only": {"Relabel.half": 0.2}}})  # fmt: skip
    assert story(base, "data/000.jsonl#1")[2:4] == [
        ("words", "kept"),
        ("characters", "passed over"),
    ]


def test_of_several_reshape_steps_of_a_pass_the_one_that_made_the_record_is_named(
    base: Path,
) -> None:
    write_texts(base / "more", TEXTS[:9], 1)
    steps = [{PIECES + "Twice": {"only": {"source": "data"}}},
             {PIECES + "Twice": {"only": {"source": "more"}}}]  # fmt: skip
    run_steps(base, "out", *steps, sources=[text_source(), text_source("more")])
    rows, read = kept_rows(base), texts_read(base, "out")
    makers = {(row["source"], story(base, row["id"])[0]) for row in rows if row["id"] not in read}
    assert makers == {("data", ("Twice", "made from")), ("more", ("Twice-2", "made from"))}
    assert story(base, "more/000.jsonl#2")[1:] == [
        ("Twice", "passed over"), ("Twice-2", "kept"), ("shards", "written"),
    ]  # fmt: skip


def test_several_matches_are_refused_with_what_distinguishes_them(tmp_path: Path) -> None:
    write_texts(tmp_path / "data", ["one", "two"], 1)
    sources = [text_source(), {**text_source(), "name": "again"}]
    run_engine(text_recipe(sources=sources), tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match=r"2 records match .*same origin. Name one by its id"):
        explain(str(tmp_path / "out"), "data/000.jsonl#1")


def test_a_record_is_found_by_the_image_that_it_shows(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_bytes(JPEG)
    (tmp_path / "a.jsonl").write_text('{"file": "cat.jpg", "text": "one"}\n')
    source = {"name": "a", "reader": "table", "path": "a.jsonl", "text": "text", "image": "file",
              "media_root": "photos"}  # fmt: skip
    run_steps(tmp_path, "out", contract("Lengths", tmp_path), sources=[source])
    for name in ("cat.jpg", "photos/cat.jpg"):
        assert explain(str(tmp_path / "out"), name).origin == "a.jsonl#1"
    with pytest.raises(InputError, match=r"no record has the id or origin 'at\.jpg'"):
        explain(str(tmp_path / "out"), "at.jpg")


def test_an_origin_with_a_line_break_is_printed_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = [[(f"{key}\nb.jpg", JPEG), (f"{key}\nb.txt", b"one")] for key in "ac"]
    shard(tmp_path, [*samples[0], *samples[1], ("d\nb.txt", b"no image")])
    source = {"name": "web", "reader": "webdataset", "path": "a.tar"}
    write_recipe(tmp_path, source, steps=[{"duplicates": {"by": "text"}}], max_quarantined=0.9)
    printed(tmp_path, capsys, "run", "recipe.yaml", "-o", "out", "--inline", "-q")
    commands = ("explain out a\nb", "explain out d\nb", "explain out --quarantine", "show out",
                "show out --dropped", "show out --quarantined", "duplicates out",
                "probe recipe.yaml")  # fmt: skip
    for command in commands:
        shown = printed(tmp_path, capsys, *command.split(" "))
        assert "\\nb" in shown, command
        assert "\nb" not in shown, command


def test_a_key_that_occurs_twice_in_a_tar_is_one_story(tmp_path: Path) -> None:
    samples = [[(f"{key}.jpg", JPEG), (f"{key}.txt", b"one")] for key in (0, 1, 0, 2)]
    shard(tmp_path, [member for sample in samples for member in sample])
    source = {"name": "web", "reader": "webdataset", "path": "a.tar"}
    run_steps(tmp_path, "out", contract("Lengths", tmp_path), sources=[source])
    assert story(tmp_path, "a.tar#0") == [
        ("read web", "quarantined"), ("read web", "quarantined"),
    ]  # fmt: skip


def test_records_with_one_id_are_named_by_their_origin() -> None:
    rows = [StoredRow(pa.table({"id": ["a"]}), 0, ".arrow")] * 2
    found = [FoundRecord(0, "part", row, "a", f"x#{n}", "s") for n, row in enumerate(rows)]
    error = ambiguous(found, "out", "a")
    assert str(error) == (
        "out: 2 records match 'a': x#0, x#1. They have the same id. Name one by its origin."
    )


def test_a_transient_error_comes_with_the_advice_to_retry(base: Path) -> None:
    write_texts(base / "data", [*TEXTS, "poison"], 2)
    run_steps(base, "out", failing_step("AnswersLater", base))
    last = explain(str(base / "out"), "data/000.jsonl#21").events[-1]
    assert (last.what, last.facts["retry"]) == ("quarantined", MAY_SUCCEED)


def test_the_lists_of_quarantined_inputs_and_the_summary_of_a_run_advise_to_retry(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_texts(base / "data", [*TEXTS, "poison"], 2)
    write_recipe(base, text_source(), steps=[failing_step("AnswersLater", base)])
    output = printed(base, capsys, "run", "recipe.yaml", "-o", "out", "--inline", "-q")
    assert "1 of them may succeed now: run again with --retry" in output
    assert MAY_SUCCEED in printed(base, capsys, "explain", "--quarantine", "out")
    assert f"retry: {MAY_SUCCEED}" in printed(base, capsys, "show", "--quarantined", "out")
    (base / "up").touch()
    output = printed(base, capsys, "run", "recipe.yaml", "-o", "out", "--inline", "-q", "--retry")
    assert "--retry" not in output


def printed(base: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert curate(base, *arguments) == 0
    return capsys.readouterr().out


def test_an_input_is_found_by_the_missing_image_that_its_message_names(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_bytes(JPEG)
    rows = ({"file": name, "text": "one"} for name in ("cat.jpg", "b/nope.jpg"))
    write_json_lines(tmp_path / "a.jsonl", rows)
    source = text_source(path="a.jsonl", image="file", media_root="photos")
    run_steps(tmp_path, "out", contract("Lengths", tmp_path), sources=[source])
    out = str(tmp_path / "out")
    for name in ("nope.jpg", "b/nope.jpg", "photos/b/nope.jpg"):
        found = explain(out, name)
        assert (found.origin, found.events[-1].what) == ("a.jsonl#2", "quarantined")
    for name in ("ope.jpg", "nope", "file", "nope.jp", "nope.*"):
        with pytest.raises(InputError, match="no record has the id or origin"):
            explain(out, name)


def test_lines_of_the_quarantine_are_cut_and_whole_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "/".join(["a" * 40] * 5)
    source = text_source(path=f"{folder}/a.jsonl", image="file", media_root=folder)
    (tmp_path / folder).mkdir(parents=True)
    write_json_lines(
        tmp_path / folder / "a.jsonl", [{"file": f"{n}.jpg", "text": ""} for n in "ab"]
    )
    write_recipe(tmp_path, source, max_quarantined=2)
    printed(tmp_path, capsys, "run", "recipe.yaml", "-o", "out", "--inline", "-q")
    lines = printed(tmp_path, capsys, "explain", "out", "--quarantine").splitlines()
    assert max(map(len, lines)) < 200
    assert "aaa/a.jsonl#1 " in lines[2]
    assert lines[-1] == "in full: curate explain out --quarantine --json"
    found = json.loads(printed(tmp_path, capsys, "explain", "out", "--quarantine", "--json"))
    assert [row["origin"] for row in found] == [f"{folder}/a.jsonl#{n}" for n in (1, 2)]
    assert found[0]["message"].startswith(f"{folder}/a.jpg: ")
    end = lines[2].split()[0]
    assert explain(str(tmp_path / "out"), end.removeprefix("…")).origin == found[0]["origin"]
