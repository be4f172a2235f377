"""Mistakes in a source that the starts of its files show are found before any source is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import FAILED, OK
from curate.ingest import sniff
from tests.make import make_image
from tests.runs import curate, run_recipe, text_source, write_recipe

Capture = pytest.CaptureFixture[str]
URLS: dict[str, Any] = {"reader": "url_table", "path": "b.parquet", "media_root": "."}
YOLO: dict[str, Any] = {"reader": "yolo", "path": "labels"}
BOXES: dict[str, Any] = {"reader": "boxes_table", "path": "b.parquet", "space": "xyxy pixel",
                         "boxes": "box"}  # fmt: skip
PIXMO: dict[str, Any] = {"reader": "pixmo", "path": "p.parquet", "media_root": "."}
GRIT: dict[str, Any] = {"reader": "grit", "path": "g.parquet", "media_root": "."}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "reader": ({"reader": "llava", "path": "b.jsonl"}, "which the reader 'llava' cannot read. Use"),
    "text": (text_source(path="b.jsonl", text="txet"), "b.jsonl: there is no column 'txet'."),
    "header": (text_source(path="b.csv", text="txet"), "b.csv: there is no column 'txet'."),
    "array": (text_source(path="b.json", text="txet"), "b.json: there is no column 'txet'."),
    "schema": (text_source(path="b.parquet", text="txet"), "b.parquet: there is no column 'txet'."),
    "media_root": (
        text_source(path="b.jsonl", image="image", media_root="gone"),
        "gone: there is no such folder. Check the setting 'media_root'.",
    ),
    "url": (URLS | {"url": "u"}, "b.parquet: there is no column 'u'."),
    "file": (URLS | {"file": "{k}.jpg"}, "b.parquet: there is no column 'k'."),
    "caption": (URLS | {"text": "txet"}, "b.parquet: there is no column 'txet'."),
    "hf": ({"reader": "hf_parquet", "path": "h.parquet", "text": "t"}, "there is no column 't'."),
    "columns of a tsv": (
        {"reader": "tsv", "path": "b.tsv", "media_root": "."},
        "b.tsv: it is not clear which of the two columns has the urls",
    ),
    "templates of a tsv": (
        {"reader": "tsv", "path": "b.tsv", "media_root": ".", "url": "last", "file": "{k}"},
        "b.tsv: there is no column 'k'.",
    ),
    "classes": (YOLO, "labels: none of classes.txt, obj.names, data.yaml, dataset.yaml is in"),
    "file of classes": (YOLO | {"names": "n.txt"}, "n.txt: the file of class names does not exist"),
    "boxes": (BOXES, "b.parquet: there is no column 'image'."),
    "names": (BOXES | {"names": "n.txt"}, "n.txt: the file of class names does not exist."),
    "points": (PIXMO | {"file": "{k}"}, "p.parquet: there is no column 'k'."),
    "phrases": (GRIT | {"file": "{k}"}, "g.parquet: there is no column 'k'."),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a sound source `data`, and a file of each format beside it."""
    rows = [{"text": f"a text of number {n}", "image": "a.jpg"} for n in range(3)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl").write_text(lines)
    (tmp_path / "b.json").write_text(json.dumps(rows))
    (tmp_path / "b.csv").write_text("text,image\na text,a.jpg\n")
    (tmp_path / "b.tsv").write_text("a text\tanother\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    urls = {"url": ["http://a/b.jpg"], "caption": ["a text"], "box": [[[1.0, 2.0, 3.0, 4.0]]]}
    image = pa.array([{"bytes": make_image(), "path": "a.jpg"}])
    points = {"image_url": ["http://a/b.jpg"], "points": [[{"x": 1.0, "y": 1.0}]], "label": ["a"]}
    phrases = {"url": ["http://a/b.jpg"], "caption": ["a"], "ref_exps": [[[0.0, 1.0]]]}
    for name, columns in {"b": urls, "h": {"image": image}, "p": points, "g": phrases}.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return tmp_path


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose starts are read, in order."""
    read, head = list[str](), sniff.head

    def noting(file: Any, where: str) -> Any:
        read.append(file.name)
        return head(file, where)

    monkeypatch.setattr(sniff, "head", noting)
    return read


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_in_a_later_source_stops_the_run_before_the_first_is_read(
    base: Path, capsys: Capture, kind: str
) -> None:
    source, message = WRONG[kind]
    write_recipe(base, text_source(), source | {"name": "wrong"})
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == FAILED
    assert message in capsys.readouterr().err
    assert not [*(base / "out").rglob("part-*")]
    assert curate(base, "plan", "recipe.yaml") == OK
    plan = capsys.readouterr().out.splitlines()
    assert [line for line in plan if line.startswith("wrong ") and message in line], plan
    assert curate(base, "probe", "recipe.yaml") == FAILED
    assert message in capsys.readouterr().err


def test_the_start_of_one_file_of_each_source_is_read_once(
    base: Path, heads: list[str], capsys: Capture
) -> None:
    for n in range(2, 6):
        (base / "data" / f"{n}.jsonl").write_text('{"text": "another"}\n')
    write_recipe(base, text_source(), text_source(path="b.jsonl", name="second"))
    assert curate(base, "plan", "recipe.yaml") == OK
    assert heads == ["2.jsonl", "b.jsonl"]
    for expected in (["b.jsonl", "2.jsonl"], []):
        heads.clear()
        assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == OK
        assert heads == expected
    assert curate(base, "plan", "recipe.yaml", "-o", "out") == OK
    assert heads == []


def test_a_source_that_was_read_is_not_checked_again(base: Path) -> None:
    (base / "images").mkdir()
    (base / "images" / "a.jpg").write_bytes(make_image())
    second = text_source(path="b.jsonl", name="second", image="image", media_root="images")
    write_recipe(base, text_source(), second)
    run = ("run", "recipe.yaml", "-o", "out", "--inline", "-q")
    assert curate(base, *run) == OK
    (base / "images").rename(base / "moved")
    assert curate(base, *run) == OK


def test_a_wrong_file_has_one_outcome_whether_the_others_were_read_before_or_not(
    base: Path,
) -> None:
    before = run_recipe(base, text_source(), max_quarantined=0.9)
    assert before.quarantine == []
    (base / "data" / "b.jsonl").write_bytes(b"\xff\xd8\xff")
    later = run_recipe(base, text_source(), max_quarantined=0.9)
    fresh = run_recipe(base, text_source(), out="fresh", max_quarantined=0.9)
    assert later.quarantine == fresh.quarantine != []
