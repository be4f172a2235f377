"""`curate verify` lists and counts the inputs again, and names every difference."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from curate.engine import recount as recounting
from curate.engine.recount import recount
from manifests.errors import RecipeError, UnreadableError
from manifests.run import saved_splits
from manifests.run.verify import verify
from tests.ingest.grounding.reading import PHOTO, write_files
from tests.runs import curate, run_recipe, text_source

LINES = "".join(f'{{"text": "one {n}"}}\n' for n in range(40))
AGAIN = "Run the recipe again to read the source as it is now."


@pytest.fixture
def out(tmp_path: Path) -> str:
    """A finished run over three files."""
    write_files(tmp_path / "data", {f"{name}.jsonl": LINES for name in "abc"})
    run_recipe(tmp_path, text_source())
    return str(tmp_path / "out")


def faults(out: str, base: str | None = None) -> list[tuple[str, str]]:
    return [(fault.place, fault.fault) for fault in recount(out, base).faults]


def test_a_source_that_did_not_change_has_what_the_run_states(out: str) -> None:
    assert recount(out) == (3, [])


def test_files_that_changed_since_are_named_with_both_counts(out: str, tmp_path: Path) -> None:
    with (tmp_path / "data" / "a.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')
    (tmp_path / "data" / "b.jsonl").unlink()
    write_files(tmp_path / "data", {"d.jsonl": LINES, "README.md": "#"})
    assert faults(out) == [
        ("data/b.jsonl", f"the file was removed after the run had read it. {AGAIN}"),
        ("data/a.jsonl",
         "the file was changed after the run had read it: "
         f"lines 40 in the run, lines 41 now. {AGAIN}"),
        ("data/d.jsonl", f"the file was added after the run. {AGAIN}"),
    ]  # fmt: skip
    run_recipe(tmp_path, text_source())
    assert recount(out) == (3, [])


def test_a_line_that_vanished_behind_the_same_size_and_time_is_found(
    out: str, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "b.jsonl"
    before = path.stat()
    path.write_text(LINES.replace("\n", " ", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify(out).faults == []
    [(place, fault)] = faults(out)
    assert place == "data/b.jsonl"
    assert fault.startswith(
        "the content of the file is not what the run read: lines 40 in the run, lines 39 now. "
        "Its size and modification time are the same"
    )


def test_the_command_fails_on_a_difference_and_counts_no_inputs_without_them(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curate(tmp_path, "verify", "out") == cli.OK
    assert "\n3 input files counted again\n" in "\n" + capsys.readouterr().out
    (tmp_path / "data" / "a.jsonl").unlink()
    assert curate(tmp_path, "verify", "out") == cli.DIFFERS
    assert (
        "data/a.jsonl: the file was removed after the run had read it." in capsys.readouterr().out
    )
    assert curate(tmp_path, "verify", "out", "--no-inputs") == cli.OK
    assert "counted again" not in capsys.readouterr().out
    assert curate(tmp_path, "verify", "out", "--json") == cli.DIFFERS
    assert json.loads(capsys.readouterr().out)["inputs"] == 2


def test_data_that_were_moved_are_counted_from_another_base(out: str, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "moved" / "data")  # keeps times
    shutil.rmtree(tmp_path / "data")
    [(place, fault)] = faults(out)
    assert (place, "no file matches the pattern" in fault) == ("source data", True)
    assert faults(out, str(tmp_path / "moved")) == []


def test_a_changed_file_of_a_group_is_named_and_so_is_one_that_is_left_aside(
    tmp_path: Path,
) -> None:
    names = [f"{name}.{end}" for name in "abcd" for end in ("jpg", "txt")]
    files: dict[str, Any] = {n: PHOTO if n.endswith("jpg") else "A dog." for n in names}
    write_files(tmp_path / "photos", files)
    run_recipe(tmp_path, {"name": "photos", "reader": "folder", "path": "photos"})
    out = str(tmp_path / "out")
    assert recount(out) == (8, [])
    write_files(tmp_path / "photos", {"b.txt": "Another dog.", "e.jpg": PHOTO, "x.pdf": ""})
    (tmp_path / "photos" / "a.jpg").unlink()
    os.utime(tmp_path / "photos" / "c.txt", ns=(0, 0))
    assert faults(out) == [
        (
            "source photos",
            (
                "the files that are left aside are not those of the run: "
                f"none in the run, .pdf 1 now. {AGAIN}"
            ),
        ),
        ("photos/a.jpg", f"the file was removed after the run had read it. {AGAIN}"),
        ("photos/b.txt", f"the file was changed after the run had read it. {AGAIN}"),
        ("photos/c.txt", f"the file was changed after the run had read it. {AGAIN}"),
        ("photos/e.jpg", f"the file was added after the run. {AGAIN}"),
    ]


def test_entries_that_are_no_files_are_counted_by_name(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {"a.jsonl": LINES})
    link = tmp_path / "data" / "b.jsonl"
    link.symlink_to("nowhere")
    run_recipe(tmp_path, text_source(), max_quarantined=0.5)
    out = str(tmp_path / "out")
    assert recount(out) == (2, [])
    link.unlink()
    assert faults(out) == [
        ("data/b.jsonl", (f"the file was removed after the run had read it. {AGAIN}"))
    ]


def test_a_file_that_the_run_could_not_count_is_not_counted_again(tmp_path: Path) -> None:
    files = {"a.jsonl": LINES, "b.jsonl.gz": gzip.compress(LINES.encode())[:-9]}
    write_files(tmp_path / "data", files)
    run_recipe(tmp_path, text_source(path="data"), max_quarantined=0.9)
    assert recount(str(tmp_path / "out")) == (2, [])


def test_a_file_that_cannot_be_counted_now_is_a_difference(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"text": ["one", "two"]}), tmp_path / "data" / "a.parquet")
    run_recipe(tmp_path, text_source(path="data/*.parquet"))
    (tmp_path / "data" / "a.parquet").write_bytes(b"PAR1 broken")
    [(place, fault)] = faults(str(tmp_path / "out"))
    assert place == "data/a.parquet"
    assert "rows 2 in the run, and now they cannot be counted (the parquet file is broken" in fault


def test_a_recipe_whose_variables_are_missing_is_not_counted(
    out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RecipeError("it needs the variable DATA")

    monkeypatch.setattr("curate.recipe.of_manifest", refuse)
    [(_, fault)] = faults(out)
    assert "cannot be counted again: it needs the variable DATA" in fault
    assert "--no-inputs" in fault


def test_without_the_list_of_splits_counts_are_still_compared(out: str, tmp_path: Path) -> None:
    for place in Path(out).glob(f"steps/*/{saved_splits.NAME}"):
        place.unlink()
    assert recount(out) == (3, [])
    (tmp_path / "data" / "c.jsonl").write_text("")
    [(place_now, fault)] = faults(out)
    assert (place_now, "lines 40 in the run, lines 0 now" in fault) == ("data/c.jsonl", True)
    assert "time are the same" not in fault  # which is not known


def test_a_file_that_cannot_be_counted_now_is_not_called_edited(
    out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise UnreadableError("Permission denied")

    monkeypatch.setattr(recounting, "cut", denied)
    found = faults(out)
    assert [place for place, _ in found] == ["data/a.jsonl", "data/b.jsonl", "data/c.jsonl"]
    assert {fault for _, fault in found} == {
        "lines 40 in the run, and now they cannot be counted (Permission denied). Restore the "
        "file, or make it readable."
    }
