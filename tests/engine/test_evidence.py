"""Evidence about a space is summed over the source: a new file changes the sum, and no part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from tests.ingest.grounding.reading import PHOTO, write_files
from tests.runs import curate, run_recipe, write_recipe

SOURCE: dict[str, Any] = {
    "name": "own", "reader": "boxes_table", "path": "in", "media_root": ".",
    "space": "xyxy pixel", "boxes": "boxes",
}  # fmt: skip


def table(base: Path, name: str, *boxes: list[int]) -> None:
    """A file with a row for each box, on an image of 100 x 50."""
    rows = [json.dumps({"image": "a.jpg", "boxes": [box]}) for box in boxes]
    write_files(base, {f"in/{name}.jsonl": "\n".join(rows), "a.jpg": PHOTO})


def parts_read(base: Path) -> dict[str, tuple[int, bytes]]:
    """The files of the parts that were read from the source: when they were written, and what they
    are."""
    [folder] = (base / "out" / "steps").glob("*-own-*")
    parts = [path for path in folder.iterdir() if path.name.startswith("part-")]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in parts}


def test_a_new_file_that_agrees_makes_no_part_again(tmp_path: Path) -> None:
    for name in "abc":
        table(tmp_path, name, [10, 10, 90, 40])
    run_recipe(tmp_path, SOURCE)
    before = parts_read(tmp_path)
    table(tmp_path, "d", [20, 20, 60, 40])
    assert len(run_recipe(tmp_path, SOURCE).rows) == 4
    after = parts_read(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)


def test_a_new_file_that_disagrees_stops_the_run_and_makes_no_part_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One box in a file, too few to judge the file alone: the sum of the source is wrong."""
    table(tmp_path, "a", [10, 10, 90, 40])
    run_recipe(tmp_path, SOURCE)
    before = parts_read(tmp_path)
    for name in "bcd":
        table(tmp_path, name, [60, 20, 30, 10])
    write_recipe(tmp_path, SOURCE)
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == cli.FAILED
    error = capsys.readouterr().err
    assert "curate: in: 3 of 4 boxes do not fit the coordinate space 'xyxy pixel'" in error
    assert {name: parts_read(tmp_path)[name] for name in before} == before
    for name in "bcd":
        (tmp_path / "in" / f"{name}.jsonl").unlink()
    assert len(run_recipe(tmp_path, SOURCE).rows) == 1
    assert {name: parts_read(tmp_path)[name] for name in before} == before
