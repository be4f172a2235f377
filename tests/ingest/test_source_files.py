"""Every file that a path finds is read, left aside by its kind, or failed by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from curate.ingest.captions.table import Table
from curate.ingest.grounding.yolo import Yolo
from curate.ingest.source_files import MAX_KINDS, excluding
from curate.inspect.quarantine import quarantined
from manifests.errors import InputError, RecipeError
from manifests.record import record_id
from tests.ingest.grounding.reading import write_files
from tests.make import write_json_lines
from tests.runs import curate, run_engine, run_recipe, text_source, write_recipe

NAMES = [
    "a.jsonl", "a.tmp.jsonl", "b.jsonl", "old/a.jsonl", "old/b/c.jsonl", "new/old/d.jsonl",
    "new/old.jsonl", "2019/a.jsonl", "2019/1/a.jsonl", "x[1].jsonl",
]  # fmt: skip


@pytest.mark.parametrize(
    ("globs", "left_out"),
    [
        ((), []),
        (("*.tmp.jsonl",), ["a.tmp.jsonl"]),
        (("old",), ["old/a.jsonl", "old/b/c.jsonl", "new/old/d.jsonl"]),
        (("old/",), ["old/a.jsonl", "old/b/c.jsonl", "new/old/d.jsonl"]),
        (("./old", "./b.jsonl"), ["b.jsonl", "old/a.jsonl", "old/b/c.jsonl"]),
        (("/old",), ["old/a.jsonl", "old/b/c.jsonl"]),
        (("2019/*.jsonl",), ["2019/a.jsonl"]),
        (("2019/**",), ["2019/a.jsonl", "2019/1/a.jsonl"]),
        (("**/old",), ["old/a.jsonl", "old/b/c.jsonl", "new/old/d.jsonl"]),
        (("b.jsonl", "[!an]*.jsonl"), ["b.jsonl", "old/b/c.jsonl", "new/old/d.jsonl",
                                       "new/old.jsonl", "x[1].jsonl"]),
        (("x[[]1].jsonl", "["), ["x[1].jsonl"]),
    ],
)  # fmt: skip
def test_a_glob_leaves_out_names_at_any_depth_or_paths_below_the_source(
    globs: tuple[str, ...], left_out: list[str]
) -> None:
    assert [name for name in NAMES if excluding(globs).fullmatch(name)] == left_out


@pytest.mark.parametrize("glob", ["", "/", "./", "[z-a]"])
def test_a_glob_that_is_none_is_refused_by_the_recipe(tmp_path: Path, glob: str) -> None:
    source = text_source("data", exclude=glob)
    with pytest.raises(RecipeError, match=r"exclude.*is not a glob pattern"):
        run_engine({"name": "test", "sources": [source]}, tmp_path, tmp_path / "out")


def test_a_source_states_its_files_by_what_became_of_them(tmp_path: Path) -> None:
    write_files(
        tmp_path / "data",
        {
            "a.jsonl": '{"text": "one"}\n', "b/b.JSONL": '{"text": "two"}\n{"te\n',
            "broken.jsonl": "{\n", "empty.jsonl": "", "c.tmp.jsonl": '{"text": "left out"}\n',
            "README.md": "#", "LICENSE": "free", ".cache/x.jsonl": "{}", "gone.exe": "x",
        },
    )  # fmt: skip
    (tmp_path / "data" / "link.jsonl").symlink_to("nowhere")
    source = {"name": "web", "reader": "table", "path": "data", "text": "text"}
    recipe = {"sources": [source | {"exclude": "*.tmp.jsonl"}], "max_quarantined": 0.9}
    made = run_engine({"name": "test", **recipe}, tmp_path, tmp_path / "out")
    assert [str(entry) for entry in made.counted] == [
        "files 10 = 3 read + 2 failed + 5 left aside (.exe 1, .md 1, excluded 1, hidden 1, "
        "no ending 1)",
        "lines 4 = 2 in 2 records + 2 failed",
    ]


def test_a_file_without_a_record_has_failed_whatever_else_it_lists(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "gone.jpg"}]
    captions = [{"id": 1, "image_id": 1, "caption": "A cat."}]
    write_files(
        tmp_path / "data",
        {
            "a.json": json.dumps({"images": images, "annotations": captions}),
            "b.json": json.dumps({"images": images, "annotations": []}),
        },
    )
    source = {"name": "web", "reader": "coco_captions", "path": "data"}
    made = run_engine(
        {"name": "test", "sources": [source], "max_quarantined": 2}, tmp_path, tmp_path / "out"
    )
    assert str(made.counted[0]) == "files 2 = 1 read + 1 failed"


def test_the_plan_and_the_end_of_a_run_print_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path / "data", {"a.jsonl": '{"text": "one"}\n', "README.md": "#"})
    source = {"name": "web", "reader": "table", "path": "data", "text": "text"}
    write_recipe(tmp_path, source, source | {"name": "gone", "path": "nowhere"})
    line = "files 2 = 1 read + 1 left aside (.md 1)"
    assert curate(tmp_path, "plan", "recipe.yaml") == 0
    printed = capsys.readouterr().out
    assert f"\nweb   {line}\n" in printed
    assert "\ngone  nowhere: the path does not exist. Check the path.\n" in printed
    assert curate(tmp_path, "plan", "recipe.yaml", "--json") == 0
    files = [one["files"] for one in json.loads(capsys.readouterr().out)]
    assert files[0]["left_aside"] == {".md": 1}
    assert files[1].startswith("nowhere: the path does not")
    write_recipe(tmp_path, source)
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == 0
    assert f"\nweb  {line}\n" in capsys.readouterr().out


def test_a_changed_exclude_reads_no_file_again(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"a.jsonl": '{"text": "one"}\n', "b.jsonl": '{"text": "two"}\n'})
    run_recipe(tmp_path, text_source())
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "steps").glob("*/part-*.arrow")}
    made = run_recipe(tmp_path, text_source(exclude="b.*"))
    assert [str(entry) for entry in made.manifest.counted] == [
        "files 2 = 1 read + 1 left aside (excluded 1)", "lines 1 = 1 in 1 record",
    ]  # fmt: skip
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "steps").glob("*/part-*.arrow")}
    assert after.items() <= parts.items()


def test_two_sources_over_one_file_count_each_on_their_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_json_lines(tmp_path / "data" / "a.jsonl", [{"text": "one", "other": "eins"}, b"{"])
    write_json_lines(tmp_path / "data" / "b.jsonl", [{"text": "two", "other": "zwei"}])
    sources = [
        text_source() | {"name": "english"},
        text_source() | {"name": "german", "text": "other", "exclude": "b.jsonl"},
    ]
    made = run_recipe(tmp_path, *sources, max_quarantined=0.9)
    assert [(entry.source, str(entry)) for entry in made.manifest.counted] == [
        ("english", "files 2 = 2 read"),
        ("english", "lines 3 = 2 in 2 records + 1 failed"),
        ("german", "files 2 = 1 read + 1 left aside (excluded 1)"),
        ("german", "lines 2 = 1 in 1 record + 1 failed"),
    ]
    places = [("english", "a.jsonl#1"), ("english", "b.jsonl#1"), ("german", "a.jsonl#1")]
    assert {row["id"] for row in made.rows} == {record_id(*place) for place in places}


def test_class_names_among_labels_are_left_aside(tmp_path: Path) -> None:
    write_files(tmp_path / "own", {"a.txt": "", "classes.txt": "dog", "data.yaml": "names: [dog]"})
    found = Yolo(name="own", path="own").find_files(str(tmp_path))
    assert [file.name for file in found.readable] == ["a.txt"]
    assert found.left_aside == {"class names": 2}


def test_rare_endings_are_counted_together(tmp_path: Path) -> None:
    write_files(tmp_path / "own", {f"a.e{n}": "" for n in range(MAX_KINDS + 5)})
    write_files(tmp_path / "own", {"a.csv": "text\nx\n", "b.e3": "", "c": ""})
    found = Table(name="own", path="own", text=("text",)).find_files(str(tmp_path))
    assert len(found.left_aside) == MAX_KINDS
    assert found.left_aside[".e3"] == 2
    assert (found.left_aside["no ending"], found.left_aside["other endings"]) == (1, 7)


def test_a_source_of_which_nothing_is_left_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_files(tmp_path / "own", {"a.csv": "text\nx\n", "b.md": ""})
    with pytest.raises(
        InputError, match=r"2 files, but none that .* excluded 1. Check the setting .exclude"
    ):
        Table(name="own", path="own", text=("text",), exclude=("*.csv",)).find_files(str(tmp_path))


def test_a_source_of_broken_links_alone_names_the_first_and_its_mend(tmp_path: Path) -> None:
    write_files(tmp_path / "own", {"b.md": ""})
    (tmp_path / "own/a.csv").symlink_to("gone.csv")
    with pytest.raises(InputError) as raised:
        Table(name="own", path="own", text=("text",)).find_files(str(tmp_path))
    assert str(raised.value) == (
        "own: no file can be read. 1 cannot be opened; the first is 'a.csv': the link points to "
        "nothing. Restore its target, or delete the link."
    )


def test_a_glob_that_matches_no_file_is_a_note_of_the_plan_and_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path / "data", {"a.jsonl": '{"text": "one"}\n', "b.jsonl": "", "old/c.md": ""})
    globs = ["./b.jsonl", "old", "data/old"]
    source = {"name": "web", "reader": "table", "path": "data", "text": "text", "exclude": globs}
    write_recipe(tmp_path, source)
    note = "web: the glob 'data/old' of `exclude` matches no file"
    for command in (["plan", "recipe.yaml"], ["run", "recipe.yaml", "-o", "out", "--inline"]):
        assert curate(tmp_path, *command) == 0
        printed = "".join(capsys.readouterr())
        assert note in printed
        assert printed.count("matches no file") == 1


def test_entries_that_are_no_files_come_with_a_way_on(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"a.jsonl": '{"text": "one"}\n', "deep/b.jsonl": ""})
    (tmp_path / "data" / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "data" / "deep" / "up").symlink_to("..")
    os.mkfifo(tmp_path / "data" / "pipe.jsonl")
    recipe = {"name": "test", "sources": [text_source(path="data")], "max_quarantined": 0.9}
    run_engine(recipe, tmp_path, tmp_path / "out")
    assert {r["origin"]: r["message"] for r in quarantined(str(tmp_path / "out")).to_pylist()} == {
        "data/gone.jsonl": "the link points to nothing. Restore its target, or delete the link.",
        "data/deep/up": "the link leads back to itself, or to a folder that is already read. "
        "Delete the link.",
        "data/pipe.jsonl": "the path leads to a FIFO, socket or device, not to a regular file. "
        "Delete it, or move it away.",
    }


def test_a_file_without_an_ending_is_read_by_a_link_as_the_message_advises(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"LABELS": '{"text": "one"}\n'})
    recipe = {"name": "test", "sources": [text_source(path="data")]}
    with pytest.raises(InputError) as refused:
        run_engine(recipe, tmp_path, tmp_path / "out")
    assert str(refused.value).endswith(
        "give the file one of these suffixes; a link with another name is enough."
    )
    (tmp_path / "data" / "labels.jsonl").symlink_to("LABELS")
    made = run_engine(recipe, tmp_path, tmp_path / "out")
    assert [a.kept for a in made.ledger if a.step.startswith("read")] == [1]
