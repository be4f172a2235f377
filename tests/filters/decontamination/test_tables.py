"""Items of benchmarks are read from files of every format, or the mistake is named."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.image.perceptual.phash import SIDE
from manifests.errors import InputError
from manifests.media import Media
from manifests.tables import read as tables
from tests.filters.decontamination.benchmarks import (
    PADDING,
    QUESTIONS,
    STAYS,
    encoded,
    image,
    image_list,
    jsonl,
    step,
)
from tests.filters.rows import answers, media_records, text_records


def gz(data: bytes) -> bytes:
    return gzip.compress(data)


def zst(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


ROWS = [{"id": 7, "q": QUESTIONS[0], "n": 1}, {"id": 8, "q": QUESTIONS[1], "n": 2}]


def as_jsonl() -> bytes:
    return b"\xef\xbb\xbf" + "\r\n\n".join(map(json.dumps, ROWS)).encode()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def separated(by: str) -> bytes:
    quoted = ['"' + str(row["q"]).replace(". ", '.\n""') + '"' for row in ROWS]
    header, *rows = zip(("n", "q", "id"), ("1", quoted[0], "7"), ("2", quoted[1], "8"), strict=True)
    return "\r\n".join(map(by.join, zip(header, *rows, strict=True))).encode()


@pytest.mark.parametrize(
    ("name", "data", "second"),
    [
        ("a.jsonl", as_jsonl(), 3),
        ("a.ndjson.gz", gz(as_jsonl()), 3),
        ("a.JSON", json.dumps(ROWS, indent=1).encode(), 2),
        ("a.json.zst", zst(json.dumps(ROWS).encode()), 2),
        ("a.parquet", as_parquet(), 2),
        ("a.csv", separated(","), 2),
        ("a.csv.gz", gz(separated(",")), 2),
        ("a.tsv", separated("\t"), 2),
    ],
)
def test_tables_of_every_format_are_read(
    tmp_path: Path, name: str, data: bytes, second: int
) -> None:
    (tmp_path / name).write_bytes(data)
    one = {"name": "a", "path": name, "text": "q", "id": "id"}
    found = answers(step(one), text_records(*QUESTIONS[:3]), Media(str(tmp_path)))
    assert found["item"] == ["7", "8", None]
    found = answers(step({**one, "id": None}), text_records(*QUESTIONS[:3]), Media(str(tmp_path)))
    assert found["item"] == [f"{name}#1", f"{name}#{second}", None]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_row_may_be_longer_than_a_block(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = separated("," if name == "a.csv" else "\t")
    (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(tables, "_BLOCK_BYTES", len(data) * 2 // 3)
    one = step({"name": "a", "path": name, "text": "q", "id": "id"})
    found = answers(one, text_records(*QUESTIONS[:3]), Media(str(tmp_path)))
    assert found["item"] == ["7", "8", None]


def test_the_word_null_is_text_and_a_column_name_may_contain_a_dot(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"q.text,id\n{QUESTIONS[2]},NULL\n")
    one = step({"name": "a", "path": "a.csv", "text": "q.text", "id": "id"})
    found = answers(one, text_records(QUESTIONS[2]), Media(str(tmp_path)))
    assert found["item"] == ["NULL"]


def test_each_line_of_a_text_file_is_an_item(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{QUESTIONS[0]}\n\n  \n{QUESTIONS[1]}")
    batch = text_records(*QUESTIONS)
    found = answers(step({"name": "a", "path": "a.txt"}), batch, Media(str(tmp_path)))
    assert found["item"] == ["a.txt#1", "a.txt#4", None, None]


@pytest.mark.parametrize("path", ["parts", "parts/*.jsonl", "parts/**"])
def test_files_of_folders_and_globs_are_read_sorted_by_name(tmp_path: Path, path: str) -> None:
    (tmp_path / "parts" / "inner").mkdir(parents=True)
    jsonl(tmp_path / "parts" / "b.jsonl", {"q": QUESTIONS[0]})
    jsonl(tmp_path / "parts" / "a.jsonl", {"q": QUESTIONS[0]}, {"q": QUESTIONS[1]})
    (tmp_path / "parts" / ".hidden").write_text("left out")
    found = answers(
        step({"name": "a", "path": path, "text": "q"}),
        text_records(*QUESTIONS),
        Media(str(tmp_path)),
    )
    assert found["item"] == ["a.jsonl#1", "a.jsonl#2", None, None]


@pytest.mark.parametrize(
    ("name", "data", "fields", "message"),
    [
        ("a.jsonl", b'{"q": "x"}\n', {"text": "question"},
         "{0}: the table has no field 'question'. Its fields are: q."),
        ("a.parquet", as_parquet(), {"text": ["q", "choices"]},
         "{0}: the table has no field 'choices'. Its fields are: id, q, n."),
        ("a.csv", b"q,a\nx,y\n", {"text": "b"}, "{0}: the table has no field 'b'. Its fields are: "
        "q, a."),
        ("a.jsonl", b'{"q": {"x": "y"}}\n', {"text": ["q.x", "q.z"]},
         "{0}: no row of the table has the field 'q.z'."),
        ("a.jsonl", b'{"q": "one"}\n\n{"q": " "}\n', {"text": "q"},
         "{0}#3: benchmark 'b': this item is empty in 'q'. "
         "Fill in a field, remove the item, or name the field that has the text."),
        ("a.jsonl", b'{"q": {"x": 1}}\n', {"text": "q"},
         "{0}#1: the field 'q' is {{'x': 1}}, which is not text. Name a field that has text, such "
         "as q.x."),
        ("a.jsonl", b'{"q": "x"}\n{"q": \n', {"text": "q"},
         "{0}: line 2: broken JSON: unexpected end of data. "
         "Write one JSON object on each line, or one array of JSON objects."),
        ("a.json", b'[{"q": "x"},]', {"text": "q"}, "{0}: broken JSON: "),
        ("a.jsonl", b'{"q": "x"}\n[1]\n', {"text": "q"}, "{0}: item 2 is [1], not a JSON object."),
        ("a.parquet", b"PAR1 and no more", {"text": "q"}, "{0}: the file cannot be read: "),
        ("a.csv", b"q,a\nx,y\nz\n", {"text": "q"}, "{0}: the file cannot be read: "),
        ("a.jsonl.gz", b"not gzip", {"text": "q"}, "{0}: the file cannot be read: "),
        ("a.txt", b"one\nt\xff\n", {}, "{0}: line 2, byte 1 is not UTF-8. Convert the file to "
        "UTF-8."),
        ("a.txt", b"\n \n", {}, "{0}: benchmark 'b': there are no items."),
        ("a.jsonl", b"", {"text": "q"}, "{0}: the table has no field 'q'. Its fields are: none."),
        ("a.jsonl", b'{"q": "x"}', {},
         "{0}: benchmark 'b': this file is a table, but the recipe names no field to compare. "
         "Set text, image or embedding, such as text: [question]."),
        ("a.txt", b"x", {"text": "q"},
         "{0}: benchmark 'b': the recipe names fields, but this file is not a table. "
         "Remove the settings text, id, image and embedding, or write a path"),
        ("a.docx", b"x", {"text": "q"},
         "{0}: benchmark 'b': files with this ending cannot be read. Images can be read, and files "
         "with the endings .json, .jsonl, .ndjson, .parquet, .parq, .pq, .csv, .tsv, .txt. Write"),
        ("a.jsonl", b'{"q": "x", "k": null}', {"text": "q", "id": "k"},
         "{0}#1: the field 'k' is None, which is not an id."),
        ("a.jsonl", b'{"i": 7}', {"image": "i"}, "{0}#1: the field 'i' is 7, which is not an "
        "image. "),
        ("a.jsonl", b'{"v": [0, 0]}', {"embedding": "v"}, "{0}#1: the field 'v' is [0, 0], which "
        "is not "),
        ("a.jsonl", b'{"v": ["a"]}', {"embedding": "v"}, "{0}#1: the field 'v' is ['a'], which is "
        "not "),
    ],
)  # fmt: skip
def test_a_benchmark_with_a_mistake_is_refused_before_the_run_starts(
    tmp_path: Path, name: str, data: bytes, fields: dict[str, Any], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    others = {"embedding": "v"} if "embedding" in fields else {}
    with pytest.raises(InputError) as raised:
        step({"name": "b", "path": name, **fields}, **others).files(str(tmp_path))
    assert str(raised.value).startswith(message.format(path))


def test_a_benchmark_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in ("none.jsonl", "none/*.jsonl", "empty"):
        with pytest.raises(InputError, match=r"'b': the path leads to no file\. Correct the path"):
            step({"name": "b", "path": path, "text": "q"}).files(str(tmp_path))


def test_a_benchmark_without_comparable_items_is_an_error(images: Path) -> None:
    (images / "b.txt").write_text("too short\nfar too short\n")
    with pytest.raises(InputError, match=r"compared: all texts have fewer than 8 words\. Lower"):
        answers(step({"name": "b", "path": "b.txt"}), text_records("x"), Media(str(images)))
    step_ = step({"name": "b", "path": "flat.png"})
    with pytest.raises(InputError, match=r"compared: all images have almost no detail\. Remove"):
        answers(step_, media_records(image_list("1.jpg")), Media(str(images)))


def test_files_are_those_of_the_benchmarks_and_of_the_images_they_name(images: Path) -> None:
    (images / "tables").mkdir()
    jsonl(images / "tables" / "b.jsonl", {"i": ["../0.jpg", encoded(image(64, 48, 0))]})
    jsonl(images / "tables" / "a.jsonl", {"i": "../1.jpg"})
    (images / "tables" / "beside.jpg").write_bytes(image(64, 48, 9))
    step_ = step({"name": "t", "path": "tables", "image": "i"}, {"name": "p", "path": "*.jpg"})
    base = str(images)
    assert list(step_.files(base)) == [
        f"{base}/tables/a.jsonl",
        f"{base}/tables/b.jsonl",
        f"{base}/tables/../1.jpg",
        f"{base}/tables/../0.jpg",
        *(f"{base}/{n}.jpg" for n in range(4)),
    ]


def test_benchmarks_are_read_from_s3(images: Path, bucket: tuple[Any, str]) -> None:
    client, ending = bucket
    jsonl(images / "b.jsonl", {"q": QUESTIONS[0], "i": "images/0.jpg"})
    client.upload_file(str(images / "b.jsonl"), "corpus", "bench/b.jsonl")
    client.upload_file(str(images / "0.jpg"), "corpus", "bench/images/0.jpg")
    where = f"s3://corpus/bench/*.jsonl{ending}"
    step_ = step({"name": "b", "path": where, "text": "q", "image": "i"})
    assert step_.files("") == (
        f"s3://corpus/bench/b.jsonl{ending}",
        f"s3://corpus/bench/images/0.jpg{ending}",
    )
    batch = text_records(QUESTIONS[0], PADDING, PADDING)
    media = media_records(*[image_list(name) for name in ("2.jpg", "small.png", "2.jpg")])["media"]
    batch = batch.set_column(batch.schema.get_field_index("media"), "media", media)
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["drop"] == ["benchmark text", "benchmark image", STAYS]


def test_a_changed_benchmark_is_read_again(tmp_path: Path) -> None:
    step_ = step({"name": "b", "path": "b.txt"})
    (tmp_path / "b.txt").write_text(QUESTIONS[0])
    batch = text_records(QUESTIONS[1])
    assert answers(step_, batch, Media(str(tmp_path)))["item"] == [None]
    (tmp_path / "b.txt").write_text(QUESTIONS[1])
    assert answers(step_, batch, Media(str(tmp_path)))["item"] == ["b.txt#1"]


def test_items_too_short_to_be_compared_are_counted_in_the_notes(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", *({"q": q} for q in QUESTIONS))
    step_ = step({"name": "b", "path": "b.jsonl", "text": "q"})
    assert step_.notes(str(tmp_path)) == (
        "benchmark b: 4 items; 1 is not compared: no text has 8 words (min_words)",
    )
    imaged = step({"name": "b", "path": "b.jsonl", "text": "q", "image": "q"}, min_words=2)
    assert imaged.notes(str(tmp_path)) == ("benchmark b: 4 items",)


@pytest.mark.parametrize(
    ("row", "path", "found"),
    [
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a": {"b.c": 1}}, "a.b.c", 1),
        ({"a.b": {"c.d": 1}}, "a.b.c.d", 1),
        ({"a.b": [{"c": 1}, {"c": 2}]}, "a.b.c", [1, 2]),
        ({"a": [{"b": 1}, {"c": 2}, None, {"b": 3}]}, "a.b", [1, 3]),
    ],
)
def test_names_with_dots_are_found(row: dict[str, Any], path: str, found: object) -> None:
    assert tables.value(row, path) == found
    with pytest.raises(KeyError):
        tables.value(row, f"{path}.x.y")
