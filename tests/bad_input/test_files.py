"""Files and folders that are empty, missing, broken, or something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import FAILED, OVER_BUDGET
from tests.bad_input.inputs import (
    CHATS,
    COCO,
    GOOD,
    LINES,
    MEMBERS,
    PHOTOS,
    ROWS,
    TARS,
    TSV,
    URLS,
    chat,
    write_coco,
    write_lines,
)
from tests.ingest.tars import shard
from tests.make import make_image
from tests.runs import curate, run_recipe, write_recipe

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
EMPTY: dict[str, tuple[dict[str, Any], bytes | pa.Table]] = {
    "a.jsonl": (LINES, b""),
    "a.tsv": (TSV, b""),
    "a.csv": (LINES | {"path": "data/*.csv"}, b"file,caption\n"),
    "a.tar": (TARS, bytes(10240)),
    "a.chats.json": (CHATS, b"[]"),
    "a.coco.json": (COCO, b'{"images": [], "annotations": []}'),
    "a.parquet": (URLS, pa.table({"url": [], "caption": []},
                                 pa.schema([("url", pa.string()), ("caption", pa.string())]))),
    "b.parquet": ({"name": "b", "reader": "hf_parquet", "path": "data/b.parquet"},
                  pa.table({"image": [], "text": []},
                           pa.schema([("image", IMAGE), ("text", pa.string())]))),
    "c.parquet": ({"name": "c", "reader": "img2dataset_parquet", "path": "data/c.parquet"},
                  pa.table({"jpg": [], "caption": []},
                           pa.schema([("jpg", pa.binary()), ("caption", pa.string())]))),
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_zero_rows_make_zero_rows_and_shards_that_open(base: Path, name: str) -> None:
    source, content = EMPTY[name]
    if isinstance(content, bytes):
        (base / "data" / name).write_bytes(content)
    else:
        pq.write_table(content, base / "data" / name)
    made = run_recipe(base, source, steps=[{"words": {"min": 3}}])
    assert made.accounts == {
        f"read {source['name']}": (0, 0, {}, {}),
        "words": (0, 0, {}, {}),
        "write arrow": (0, 0, {}, {}),
    }
    assert (made.quarantine, made.rows) == ([], [])
    datasets = pytest.importorskip("datasets")
    assert len(datasets.load_from_disk(str(base / "out/shards"))) == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            PHOTOS | {"path": "gone"},
            "gone: the path does not exist. Check the",
        ),
        (
            TARS | {"path": "gone/*.tar"},
            "gone/*.tar: no file matches the pattern (the output of runs does not count). Check",
        ),
        (
            PHOTOS | {"path": "empty"},
            "empty: the folder has no files (the output of runs does not count). Check the",
        ),
        (LINES | {"media_root": "gone"}, "gone: there is no such folder. Check the setting 'me"),
        (TSV | {"media_root": "gone"}, "gone: there is no such folder. Check the setting 'me"),
    ],
    ids=["folder", "glob", "empty folder", "media_root", "media_root of a tsv"],
)
def test_a_missing_folder_is_an_error_not_an_empty_success(
    base: Path, capsys: pytest.CaptureFixture[str], source: dict[str, Any], message: str
) -> None:
    (base / "empty").mkdir()
    write_lines(base, *ROWS)
    (base / "data/a.tsv").write_text("0.jpg\tGood.\n")
    write_recipe(base, source)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline") == FAILED
    assert capsys.readouterr().err.startswith(f"curate: {message}")
    assert sorted(path.name for path in (base / "out").iterdir()) == ["steps"]


def write_parts(base: Path, count: int = 3) -> list[Path]:
    """Parquet files of one row each."""
    paths = [base / f"data/{n}.parquet" for n in range(count)]
    for n, path in enumerate(paths):
        pq.write_table(pa.table({"url": [f"{n % 3}.jpg"], "caption": [f"Caption {n}."]}), path)
    return paths


def test_a_broken_parquet_is_quarantined_and_the_others_are_read(base: Path) -> None:
    paths = write_parts(base)
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    made = run_recipe(base, URLS)
    assert made.accounts["read urls"] == (3, 2, {}, {"FileError": 1})
    (lost,) = made.quarantine
    assert lost[:3] == ("data/1.parquet", "read urls", "FileError")
    assert lost.message == (
        "the parquet file is broken: Parquet magic bytes not found in footer. Either the file "
        "is corrupted or this is not a parquet file. The content after this error was not "
        "read. Download or write the file again, or change the source's path so that it does "
        "not include the file."
    )
    assert made.captions == {f"data/{n}.parquet#0": f"Caption {n}." for n in (0, 2)}


def test_a_file_of_another_format_among_good_ones_is_quarantined(base: Path) -> None:
    write_lines(base, *ROWS)
    write_lines(base, json.dumps(ROWS).encode(), name="array.jsonl")
    write_lines(base, make_image(), name="image.jsonl")
    lines = sum(not line.isspace() for line in make_image().split(b"\n") if line)
    made = run_recipe(base, LINES)
    assert made.accounts["read lines"] == (7, 6, {}, {"FileError": 1})
    rest = "The content after this error was not read."
    assert [lost[0::3] for lost in made.quarantine] == [
        (
            "data/image.jsonl",
            (
                f"none of the first {lines} lines is a JSON object. {rest} Remove the file from "
                "the source, or give it the suffix of its format."
            ),
        ),
    ]
    assert len(made.rows) == 6


def test_a_table_without_a_named_column_stops_the_run(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may stand for millions of rows: one line in the quarantine would hide them."""
    write_lines(base, *ROWS)
    write_lines(base, {"file": "0.jpg", "captoin": "Good."}, name="other.jsonl")
    write_recipe(base, LINES)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == FAILED
    assert capsys.readouterr().err == (
        "curate: data/other.jsonl: there is no column 'caption'. Did you mean 'captoin'? "
        "Check the setting 'text'.\n"
    )


def test_empty_files_are_broken_files(base: Path) -> None:
    write_parts(base)
    (base / "data/9.parquet").write_bytes(b"")
    shard(base / "data", MEMBERS)
    (base / "data/9.tar").write_bytes(b"")
    made = run_recipe(base, URLS, TARS)
    assert [lost[:3] for lost in made.quarantine] == [
        ("data/9.parquet", "read urls", "FileError"),
        ("data/9.tar", "read tars", "FileError"),
    ]
    message = (
        "the file is not a tar: it is empty. Set the path of the source to tars that "
        "are not compressed."
    )
    assert made.quarantine[1].message == message
    assert len(made.rows) == 6


def test_a_source_of_broken_files_is_over_the_budget(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in write_parts(base)[:2]:
        path.write_bytes(b"PAR1 and then nothing")
    write_recipe(base, URLS)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline") == OVER_BUDGET
    assert capsys.readouterr().err.endswith(
        "curate: out: 2 inputs were quarantined, more than the error budget of max_quarantined: "
        "0.5 of 3. "
        ""
        "To see why: curate explain --quarantine out. Correct the source, or raise "
        "max_quarantined.\n"
    )
    assert not (base / "out/manifest.json").exists()


def _pair(name: str, reader: str, **settings: Any) -> dict[str, Any]:
    return {"name": "wrong", "reader": reader, "path": f"data/{name}", **settings}


@pytest.mark.parametrize(
    ("source", "looks", "takes"),
    [
        (_pair("*.tar", "url_table", media_root="data"), "a.tar: a tar of jpg, txt", "webdataset"),
        (_pair("a.tar", "table", text="caption"), "a.tar: a tar of jpg, txt", "webdataset"),
        (_pair("*.jpg", "webdataset"), "0.jpg: a JPEG image", "folder"),
        (_pair("*.jsonl", "llava"), "a.jsonl: JSON lines with keys file, caption", "table"),
        (_pair("a.json", "coco_captions"),
         "a.json: a JSON array of objects with keys image, conversations",
         "llava or qwen_grounding"),
        (_pair("*.coco.json", "llava"),
         "a.coco.json: a JSON object with keys images, annotations", "coco_captions"),
        (_pair("a.parquet", "img2dataset_parquet"),
         "a.parquet: a parquet file with columns image, text", "hf_parquet or table"),
        (_pair("*.pdf", "folder"), "a.pdf: a PDF", None),
    ],
)  # fmt: skip
def test_the_error_of_a_wrong_reader_describes_the_file_and_names_the_right_one(
    base: Path, capsys: pytest.CaptureFixture[str],
    source: dict[str, Any], looks: str, takes: str | None,
) -> None:  # fmt: skip
    shard(base / "data", MEMBERS)
    write_lines(base, *ROWS)
    (base / "data/a.json").write_text(json.dumps([chat(0, "Good.")]))
    write_coco(base, GOOD)
    images = pa.array([{"bytes": make_image(), "path": "a.jpg"}], IMAGE)
    pq.write_table(pa.table({"image": images, "text": ["Good."]}), base / "data/a.parquet")
    (base / "data/a.pdf").write_bytes(b"%PDF-1.7\n")
    write_recipe(base, source)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline") == FAILED
    fix = (
        f"Use the reader {takes}."
        if takes
        else (
            "No reader can read this file: convert it, for example to JSON lines, or change the "
            "path of the source so that it does not include it."
        )
    )
    name, _, what = looks.partition(": ")
    reader = source["reader"]
    message = f"data/{name}: the file is {what}, which the reader {reader!r} cannot read. {fix}"
    assert capsys.readouterr().err == f"curate: {message}\n"
    assert not (base / "out/manifest.json").exists()
