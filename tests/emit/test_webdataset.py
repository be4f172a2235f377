"""WebDataset shards: tars with all columns of a row, which our reader `webdataset` reads back."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.emit.tar_header import header, padding
from curate.ingest.captions.webdataset import WebDataset
from manifests.errors import RowError
from manifests.media import Media, references
from manifests.record import media_lists
from tests.emit.records import IMAGES, captioned, medium, records, row, tar, text, write, write_all
from tests.make import read_all


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as file:
        found: dict[str, Any] = {m.name: file.extractfile(m) for m in file.getmembers()}
        return {name: data.read() for name, data in found.items()}


def test_a_row_is_its_images_its_text_and_its_json(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    table = records(
        row("a", [medium(0), text("one <image>")], media[0], meta='{"uid": "x"}'),
        row("b", [medium(2), medium(1), text("two")], *media, meta="not JSON"),
        row("c", [text("none")]),
        row("d", [medium(0)], media[1]),
    )
    table = table.append_column("words.count", pa.array([2, 1, 1, None], pa.int32()))
    table = table.append_column("hash.bits", pa.array([b"\1"] * 4))
    commit = write("webdataset", tmp_path, table, columns=["words.count", "hash.bits"])
    a, b, c, d = table["id"].to_pylist()
    found = members(tmp_path / "out" / "data-00000-of-00001.tar")
    assert list(found) == [
        f"{a}.jpg", f"{a}.txt", f"{a}.json", f"{b}.0.webp", f"{b}.1.png", f"{b}.txt", f"{b}.json",
        f"{c}.txt", f"{c}.json", f"{d}.png", f"{d}.json",
    ]  # fmt: skip
    assert [found[f"{a}.jpg"], found[f"{b}.0.webp"], found[f"{b}.1.png"], found[f"{d}.png"]] == [
        IMAGES[0], IMAGES[2], IMAGES[1], IMAGES[1]
    ]  # fmt: skip
    assert found[f"{a}.txt"] == b"one <image>"
    image = {"type": "image", "text": None}
    item = {"type": "text", "text": "one <image>"}
    assert json.loads(found[f"{a}.json"]) == {
        "id": a,
        "modality": "caption",
        "source": "web",
        "origin": "in#a",
        "messages": [
            {"role": "user", "content": [image]},
            {"role": "assistant", "content": [item]},
        ],
        "objects": [],
        "cameras": [],
        "language": None,
        "meta": {"uid": "x"},
        "segments": {"role": [None, None], "loss": [False, True]},
        "words.count": 2,
        "hash.bits": "01",
    }
    assert json.loads(found[f"{b}.json"])["meta"] == "not JSON"
    assert (commit.rows, commit.quarantined) == (4, [])


def test_the_bytes_do_not_depend_on_the_machine_or_the_time(tmp_path: Path) -> None:
    table = captioned(tmp_path, 9)
    first = write("webdataset", tmp_path, table)
    with tarfile.open(tmp_path / "out" / "data-00000-of-00001.tar") as file:
        stamps = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in file.getmembers()}
    assert stamps == {(0, 0, 0, "", "", 0o644)}
    assert write("webdataset", tmp_path, table) == first


def test_a_header_is_the_one_tarfile_writes() -> None:
    for name, size in [("a.jpg", 0), ("0" * 32 + ".json", 511), ("é" * 50, 8**11 - 1)]:
        member = tarfile.TarInfo(name)
        member.size = size
        assert header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)
    assert [len(padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
    with pytest.raises(RowError, match="more than 100 bytes"):
        header("é" * 51, 1)


def test_missing_media_quarantine_their_row_and_no_other(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    missing = {"kind": "image", "uri": "missing.jpg"}
    table = records(
        row("a", [medium(0), medium(1)], media[0], missing), row("b", [medium(0)], media[1])
    )
    commit = write("webdataset", tmp_path, table)
    assert [q.origin for q in commit.quarantined] == ["in#a"]
    found = members(tmp_path / "out" / "data-00000-of-00001.tar")
    assert [name.partition(".")[0] for name in found] == [table["id"][1].as_py()] * 2


def test_our_own_reader_reads_back_images_texts_and_meta(tmp_path: Path) -> None:
    table = captioned(tmp_path, 30)
    write_all("webdataset", tmp_path, table, 2)
    found = read_all(WebDataset(name="back", path=str(tmp_path / "out")))
    assert [f for one in found for f in one.failures] == []
    back = pa.concat_tables([one.records for one in found])
    media = Media()
    refs = references(media_lists(back["media"])[1])
    images = {}
    for record, ref in zip(back.to_pylist(), refs, strict=True):
        caption = record["content"][1]["text"]
        images[caption] = media.read(ref)
        assert json.loads(record["meta"])["curate.from"]["source"] == "web"
    assert images == {f"caption {n}": IMAGES[n % 3] for n in range(30)}
