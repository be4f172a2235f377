"""`curate show --dropped` and `curate explain`: what was removed, by its text and by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import FAILED, MISTAKE, OK
from curate.commands.show import _text
from tests.make import write_captions, write_texts
from tests.runs import caption_recipe, curate, run_engine, run_recipe, text_source

Capture = pytest.CaptureFixture[str]
PIECES = "tests.engine.pieces:"
TEXTS = ["one", "two words", "three words here", "two words", "four words are here"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("dropped")
    write_texts(base / "data", TEXTS, 1)
    write_texts(base / "more", ["a fifth text of words"], 1)
    (base / "more" / "000.jsonl").open("ab").write(b'{"text": "a tail that is cut off')
    steps = [{"words": {"min": 2}}, {"duplicates": {"by": "text"}}, {"characters": {"min": 16}}]
    run_recipe(base, text_source(), text_source("more"), steps=steps)
    return base


def answer(base: Path, capsys: Capture, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = curate(base, *arguments)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_dropped_records_are_shown_with_the_text_that_was_dropped(
    base: Path, capsys: Capture
) -> None:
    code, output = answer(base, capsys, "show", "out", "--dropped", "-n", "9", "--json")
    rows: list[dict[str, Any]] = json.loads(output)
    shown = [(row["origin"], row["step"], row["content"][0]["text"]) for row in rows]
    assert (code, sorted(shown)) == (OK, [
        ("data/000.jsonl#1", "words", "one"),
        ("data/000.jsonl#2", "characters", "two words"),
        ("data/000.jsonl#4", "duplicates", "two words"),
    ])  # fmt: skip
    _, output = answer(base, capsys, "show", "out", "000.jsonl#1", "--dropped")
    assert "data/000.jsonl#1\n  one\n  source: data\n  step: words\n" in output


def test_a_record_that_one_pass_made_and_dropped_is_shown_without_a_text(
    base: Path, capsys: Capture
) -> None:
    steps = [{PIECES + "Twice": {}}, {"words": {"min": 3}}]
    run_recipe(base, text_source(), out="pieces", steps=steps)
    _, output = answer(base, capsys, "show", "pieces", "--dropped", "-n", "99")
    assert "(its content is not stored, because one pass made this record from another" in output


def test_content_is_shown_as_earlier_passes_left_it(tmp_path: Path, capsys: Capture) -> None:
    write_captions(tmp_path / "data", files=1, rows=3)
    model = {PIECES + "SlowModel": {"milliseconds": 0, "min": 1000}}
    run_engine(caption_recipe(steps=["media_digest", model]), tmp_path, tmp_path / "out")
    _, output = answer(tmp_path, capsys, "show", "out", "--dropped", "--json")
    media = [row["media"][0] for row in json.loads(output)]
    assert [(one["mime"], one["digest"][:6]) for one in media] == [("image/png", "xxh128")] * 3


@pytest.mark.parametrize("end", ["data/000.jsonl#3", "000.jsonl#3", "ata/000.jsonl#3", ".jsonl#3"])
def test_explain_takes_the_end_of_an_origin(base: Path, capsys: Capture, end: str) -> None:
    code, output = answer(base, capsys, "explain", "out", end)
    assert (code, "origin  data/000.jsonl#3" in output) == (OK, True)


def test_all_matches_of_an_end_are_listed(base: Path, capsys: Capture) -> None:
    code, output = answer(base, capsys, "explain", "out", "jsonl#1")
    assert (code, "2 records match 'jsonl#1': " in output) == (FAILED, True)
    assert "(data/000.jsonl#1)" in output
    assert "(more/000.jsonl#1)" in output
    assert "Write more of the id or of the origin." in output


def test_explain_counts_the_rows_that_a_failure_hides(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "data.parquet"
    table = pa.table({"caption": [f"a caption of {n} words" for n in range(80)]})
    pq.write_table(table, path, row_group_size=40, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    source = {"name": "web", "reader": "table", "path": "data.parquet", "text": "caption"}
    made = run_recipe(tmp_path, source, steps=[], max_quarantined=100)
    _, output = answer(tmp_path, capsys, "explain", "out", made.quarantine[0].origin)
    assert "hides 40 rows" in output
    _, output = answer(tmp_path, capsys, "explain", "out", "--quarantine")
    assert output.split()[:6] == ["origin", "step", "error", "rows", "retry", "message"]
    assert "FileError    40" in output


def test_a_step_selects_dropped_and_quarantined_rows(base: Path, capsys: Capture) -> None:
    code, output = answer(base, capsys, "show", "out", "--dropped", "--step", "words", "--json")
    assert (code, [row["origin"] for row in json.loads(output)]) == (OK, ["data/000.jsonl#1"])
    code, output = answer(base, capsys, "show", "out", "--quarantined", "--step", "read more")
    assert (code, "more/000.jsonl#2" in output) == (OK, True)
    _, output = answer(base, capsys, "show", "out", "--quarantined", "--step", "read data")
    assert output == "the run has no such records\n"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--step", "words"], "curate show: --step selects the records that a step dropped"),
        (["--dropped", "--step", "wrds"], "no step named 'wrds'. Did you mean 'words'?"),
        (["--source", "dta"], "out: the run has no source named 'dta'. Did you mean 'data'?"),
        (["--source", "xyz"], "named 'xyz'. The known names are: data, more."),
    ],
)
def test_unknown_names_are_mistakes(
    base: Path, capsys: Capture, options: list[str], fault: str
) -> None:
    code, output = answer(base, capsys, "show", "out", *options)
    assert (code, fault in output) == (MISTAKE, True), output


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("b.tmp.jsonl", "leaves aside the file in/b.tmp.jsonl: the glob '*.tmp.jsonl' of `ex"),
        ("drafts/c.jsonl#1", "aside the file in/drafts/c.jsonl: the glob 'drafts' of `exclude`"),
        (".h.jsonl", "aside the file in/.h.jsonl: its name, or that of a folder above it, begins"),
        ("README.md", "in/README.md: `curate readers table` lists the endings that its reader"),
        ("in/a.jsonl#2", "has read the file in/a.jsonl: lines 2 = 1 in 1 record + 1 left aside (b"),
        ("nowhere.jsonl", "`curate show` prints records with their ids, and"),
        ("abc", "`curate show` prints records with their ids, and"),
    ],
)
def test_explain_prints_what_became_of_a_file_without_such_a_record(
    tmp_path: Path, capsys: Capture, wanted: str, text: str
) -> None:
    names = ("a.jsonl", "b.tmp.jsonl", "drafts/c.jsonl", ".h.jsonl", "README.md")
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"text": "a text"}\n\n')
    source = text_source("in", path="in", exclude=["*.tmp.jsonl", "drafts"])
    run_recipe(tmp_path, source, steps=[])
    code, output = answer(tmp_path, capsys, "explain", "out", wanted)
    assert (code, text in output) == (FAILED, True), output


def test_files_left_aside_that_cannot_be_listed_are_an_error_of_their_own(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "data", TEXTS, 1)
    monkeypatch.setenv("GLOB", "old")
    run_recipe(tmp_path, text_source(exclude="${GLOB}"), steps=[])
    monkeypatch.delenv("GLOB")
    _, output = answer(tmp_path, capsys, "explain", "out", "old/a.jsonl")
    fault = "Whether a source left aside a file of this name cannot be found: "
    assert f"{fault}out: the environment variable GLOB is not set" in output


def test_show_prints_the_first_numbers_of_a_vector_and_how_many_there_are() -> None:
    row = {"id": "5e", "origin": "a.jsonl#1", "embed.vector": [0.25] * 1280, "cluster.path": [3, 8]}
    assert _text(row).splitlines() == [
        "5e  a.jsonl#1",
        f"  embed.vector: [{'0.25, ' * 8}...] (1,280 values)",
        "  cluster.path: [3, 8]",
    ]
