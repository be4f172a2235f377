"""A file is known by its content: its own readers take it, and the others say what it is."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import catalog
from curate.ingest import sniff
from curate.ingest.reader import Reader
from manifests import storage
from manifests.errors import InputError
from manifests.storage import File
from tests.make import make_image

TURNS = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
CHAT = {"id": "1", "image": "a.jpg", "conversations": TURNS}
COCO = {
    "info": {},
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "caption": "a"}],
}
BOXES = {**COCO, "annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}]}
KARPATHY = {"images": [{"filename": "a.jpg", "split": "val", "sentences": [{"raw": "a"}]}]}
SBU = {"image_urls": ["http://a/b.jpg"], "captions": ["a"]}


@pytest.fixture(scope="module")
def readers() -> dict[str, type[Reader]]:
    return catalog.readers()


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_lines(*values: Any) -> bytes:
    return b"\n".join(as_json(value) for value in values)


def as_tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


def as_parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


CHAT_READERS = {"llava", "qwen_grounding"}
CHATS = "a JSON array of objects with keys id, image, conversations"
CHAT_LINES = "JSON lines with keys id, image, conversations"
COCO_KEYS = "a JSON object with keys info, images, annotations"
LAION = as_parquet(URL=["u"], TEXT=["a"])
LATIN = "neither UTF-8 text nor a known format: it starts with b'caf\\xe9 au '"
FILES: dict[str, tuple[bytes, str, set[str]]] = {
    "empty.json": (b"", "an empty file", set()),
    "blank.txt": (b" \n", "blank text", set()),
    "a.jpg": (make_image(), "a JPEG image", {"folder"}),
    "a.png": (make_image(kind="PNG"), "a PNG image", {"folder"}),
    "a.avif": (make_image(kind="AVIF"), "an AVIF image", {"folder"}),
    "cut.png": (make_image(kind="PNG")[:18], "a broken image", {"folder"}),
    "a.tar": (as_tar("1.jpg", "1.txt", "1.json"), "a tar of jpg, json, txt", {"webdataset"}),
    "notes.tar": (as_tar("1.txt", "2.txt"), "a tar of txt", set()),
    "zeros.tar": (bytes(10240), "an empty tar", {"webdataset"}),
    # A tab in the header makes no table of it.
    "packed.tar.gz": (gzip.compress(as_tar("1.jpg"), mtime=9), "gzip", set()),
    "a.json": (as_json([CHAT]), CHATS, CHAT_READERS),
    "cut.json": (as_json([CHAT])[:60], CHATS, CHAT_READERS),
    "marked.json": (b"\xef\xbb\xbf\n" + as_json([CHAT]), CHATS, CHAT_READERS),
    "a.jsonl": (as_lines(CHAT, CHAT), CHAT_LINES, CHAT_READERS),
    "a.jsonl.gz": (gzip.compress(as_lines(CHAT, CHAT)), CHAT_LINES, CHAT_READERS),
    "packed.json": (as_json([[CHAT]]), "a JSON array of arrays", CHAT_READERS),
    "none.json": (b"[ ]\n", "an empty JSON array", CHAT_READERS),
    "numbers.json": (b"[1, 2]", "a JSON array", set()),
    "other.json": (as_json([{"x": 1}]), "a JSON array of objects with keys x", set()),
    "deep.json": (b"[" * 5000, "a JSON array of arrays", set()),
    "coco.json": (as_json(COCO), COCO_KEYS, {"coco_captions"}),
    "boxes.json": (as_json(BOXES), COCO_KEYS, set()),
    "karpathy.json": (as_json(KARPATHY), "a JSON object with keys images", {"karpathy"}),
    "sbu.json": (as_json(SBU), "a JSON object with keys image_urls, captions", {"sbu"}),
    "wide.json": (
        as_json({str(n): n for n in range(9)}),
        "a JSON object with keys 0, 1, 2, 3, 4, 5, 6, 7, ...",
        set(),
    ),
    "img.parquet": (
        as_parquet(jpg=[b"x"], txt=["a"]),
        "a parquet file with columns jpg, txt",
        {"img2dataset_parquet"},
    ),
    "hf.parquet": (
        as_parquet(image=[{"bytes": b"x", "path": None}], text=["a"]),
        "a parquet file with columns image, text",
        {"hf_parquet"},
    ),
    "laion.parquet": (LAION, "a parquet file with columns URL, TEXT", {"url_table"}),
    "cut.parquet": (LAION[:40], "a broken parquet file", set()),
    "cc3m.tsv": (b"a dog\thttp://a/b.jpg\n" * 3, "text of 2 tab-separated columns", {"tsv"}),
    "page.html": (b"<!doctype html><html></html>", "HTML", set()),
    "notes.txt": ("Élan\nvital".encode(), "text: 'Élan'", set()),
    "latin.txt": (b"caf\xe9 au lait", LATIN, set()),
    "utf16.txt": ("text".encode("utf-16"), "UTF-16 text", set()),
    "a.bin": (b"\x01\x00\x02ab", "binary data that starts with b'\\x01\\x00\\x02ab'", set()),
    "a.pdf": (b"%PDF-1.7", "a PDF", set()),
    "a.mp4": (b"\0\0\0\x18ftypisom", "an MP4 or QuickTime video", set()),
    "a.zip": (b"PK\x03\x04....", "a zip archive", set()),
}


def made(folder: Path, name: str) -> File:
    (folder / name).write_bytes(FILES[name][0])
    return storage.list_files(str(folder / name))[0]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_described_in_words(tmp_path: Path, name: str) -> None:
    assert sniff.describe(sniff.head(made(tmp_path, name), "")) == FILES[name][1]


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_taken_by_its_own_reader_and_refused_by_the_others(
    tmp_path: Path, name: str, readers: dict[str, type[Reader]]
) -> None:
    found = sniff.matching_readers(sniff.head(made(tmp_path, name), ""), readers)
    assert set(found) - {"table"} == FILES[name][2]  # any table is the table reader's


REAL = {
    "captions/clip_retrieval_tests/test_tars/*.tar": {"webdataset"},
    "captions/img2dataset_tests/test_files/test_1*.parquet": {"url_table"},
    "captions/img2dataset_tests/test_files/*.txt": set(),
    "captions/openstax/*.jsonl": {"table"},
    "captions/openstax/business/*.jpg": {"folder"},
    "captions/sugarcrepe/data/*.json": set(),
    "grounding/coco_permissive/annotations/*captions*.json": {"coco_captions"},
    "grounding/coco_permissive/annotations/*instances*.json": {"coco"},
    "grounding/coco_permissive/annotations/*keypoints*.json": {"coco"},
    "grounding/qwen_spatial/qwen-vl-finetune/demo/*.json": CHAT_READERS,
    "grounding/refexp_google/evaluation/sample_results/*.json": set(),
    "grounding/raccoon/data/*.csv": {"table"},
    "interleaved/*/LICENSE": set(),
}


@pytest.mark.parametrize("pattern", REAL)
def test_real_files_are_taken_by_their_own_reader_and_refused_by_the_others(
    real_data: Path, pattern: str, readers: dict[str, type[Reader]]
) -> None:
    files = storage.list_files(str(real_data / pattern))
    assert files
    for file in files[:20]:
        found = set(sniff.matching_readers(sniff.head(file, ""), readers))
        assert found | {"table"} == REAL[pattern] | {"table"}, file.name
        assert found >= REAL[pattern], file.name


def test_hostile_files_are_described_and_sniffed_without_a_crash(
    real_data: Path, readers: dict[str, type[Reader]]
) -> None:
    files = storage.list_files(str(real_data / "hostile"))
    assert len(files) > 500
    for file in files:
        start = sniff.head(file, "")
        assert sniff.describe(start), file.name
        sniff.matching_readers(start, readers)


def test_the_error_of_a_wrong_reader_describes_the_file_and_names_the_right_reader(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    made(tmp_path, "a.tar")
    file = File("a.tar", "a.tar", 10240, 0)
    with pytest.raises(InputError) as caught:
        sniff.check("llava", readers["llava"], file, str(tmp_path), readers)
    assert str(caught.value) == (
        "a.tar: the file is a tar of jpg, json, txt, which the reader 'llava' cannot read. "
        "Use the reader webdataset."
    )


def test_the_error_of_a_broken_file_names_no_reader(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    file = made(tmp_path, "cut.parquet")
    with pytest.raises(InputError) as caught:
        sniff.check("url_table", readers["url_table"], file, str(tmp_path), readers)
    assert caught.value.message == (
        "the file is a broken parquet file, which the reader 'url_table' cannot read. Download "
        "or write it again, or leave it out of the path."
    )


def test_readers_that_take_the_suffix_too_are_named_alone(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    file = made(tmp_path, "coco.json")
    assert sniff.matching_readers(sniff.head(file, ""), readers) == ["coco_captions"]
    with pytest.raises(InputError) as caught:
        sniff.check("llava", readers["llava"], file, "", readers)
    assert caught.value.fix == "Use the reader coco_captions."


def test_a_file_with_a_suffix_that_no_reader_of_its_content_reads_is_to_be_renamed(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    file = made(tmp_path, "coco.json")._replace(name="coco.dat")
    with pytest.raises(InputError) as caught:
        sniff.check("llava", readers["llava"], file, "", readers)
    assert caught.value.fix == (
        "Rename the file to end in .json or .json.gz or .json.zst or .json.bz2, and use the "
        "reader coco_captions."
    )


def test_a_file_that_no_reader_takes_has_an_error_with_a_fix(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    with pytest.raises(InputError) as caught:
        sniff.check("llava", readers["llava"], made(tmp_path, "empty.json"), "", readers)
    assert caught.value.fault == "the file is an empty file, which the reader 'llava' cannot read."
    assert caught.value.fix == (
        "No reader can read this file: convert it, for example to JSON lines, or change the path "
        "of the source so that it does not include it."
    )


def test_the_right_reader_gets_no_error(tmp_path: Path, readers: dict[str, type[Reader]]) -> None:
    for name, (_, _, takers) in FILES.items():
        for taker in takers:
            sniff.check(taker, readers[taker], made(tmp_path, name), "", readers)


def test_annotations_beyond_the_head_are_looked_up_in_the_file(
    tmp_path: Path, readers: dict[str, type[Reader]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sniff, "HEAD_BYTES", 40)
    for name in ("coco.json", "boxes.json"):
        found = sniff.matching_readers(sniff.head(made(tmp_path, name), ""), readers)
        assert set(found) - {"table"} == FILES[name][2]


def test_a_head_has_a_complete_uri_and_only_the_first_bytes(tmp_path: Path) -> None:
    made(tmp_path, "a.jpg")
    start = sniff.head(File("a.jpg", "a.jpg", 1, 0), str(tmp_path))
    assert start.file.uri == str(tmp_path / "a.jpg")
    assert storage.read_bytes(start.file.uri) == start.data
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    assert len(sniff.head(File("large", "large", 3 << 20, 0), str(tmp_path)).data) == 1 << 20


def test_a_broken_compressed_file_is_named_as_one(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n', mtime=9)[:25])
    [file] = storage.list_files(str(tmp_path / "a.jsonl.gz"))
    with pytest.raises(InputError) as caught:
        sniff.check("table", readers["table"], file, "", readers)
    assert caught.value.fault.startswith("the gzip file is broken: Truncated")
    assert caught.value.fix == "Compress or copy the file again."


def test_json_lines_that_end_with_a_carriage_return_alone_are_named_as_such(
    tmp_path: Path, readers: dict[str, type[Reader]]
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\r{"text": "b"}\r')
    [file] = storage.list_files(str(tmp_path / "a.jsonl"))
    with pytest.raises(InputError, match=r"end with a carriage return alone .*Convert"):
        sniff.check("table", readers["table"], file, "", readers)
