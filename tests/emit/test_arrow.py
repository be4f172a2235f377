"""Arrow shards: their rows and bytes, and rows whose media can no longer be read."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.emit import formats, rows
from curate.emit.payload import FIX_CHANGED_FILE
from curate.emit.read import read_shards, shard_files
from curate.emit.shard import Quarantined, ShardCommit
from manifests.errors import ManifestError, RecipeError
from manifests.media import FIX_MISSING_FILE, Limits, Media
from manifests.storage.digest import file_digest
from tests.emit.records import (
    IMAGES,
    captioned,
    job,
    medium,
    records,
    row,
    tar,
    text,
    write,
    write_all,
)
from tests.make import make_image


def read_back(folder: Path) -> pa.Table:
    with pa.ipc.open_stream(str(folder / "out" / "data-00000-of-00001.arrow")) as reader:
        return reader.read_all()


def batches(folder: Path) -> list[pa.RecordBatch]:
    with pa.ipc.open_stream(str(folder / "out" / "data-00000-of-00001.arrow")) as reader:
        return list(reader)


def test_a_row_has_all_columns(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    content = [medium(2), medium(0), text("two")]
    table = records(row("a", content, *media, meta='{"k": 1}', language="en"))
    write("arrow", tmp_path, table)
    (found,) = read_back(tmp_path).to_pylist()
    name = table["id"][0].as_py()
    assert found == {
        "id": name,
        "modality": "caption",
        "source": "web",
        "origin": "in#a",
        "messages": [
            {"role": "user", "content": [{"type": "image", "text": None}] * 2},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
        ],
        "images": [
            {"bytes": IMAGES[2], "path": f"{name}-0.webp"},
            {"bytes": IMAGES[0], "path": f"{name}-1.jpg"},
        ],
        "videos": [],
        "objects": [],
        "cameras": [],
        "language": "en",
        "meta": '{"k": 1}',
    }


def test_images_are_the_bytes_of_the_source_whatever_the_order(tmp_path: Path) -> None:
    table = captioned(tmp_path, 40)
    write_all("arrow", tmp_path, table, 3)
    found = pa.concat_tables(read_shards(str(tmp_path / "out"))).to_pylist()
    due = {i: IMAGES[n % 3] for n, i in enumerate(table["id"].to_pylist())}
    assert {r["id"]: r["images"][0]["bytes"] for r in found} == due


def test_complete_files_are_read_with_and_without_a_stated_length(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(IMAGES[0])
    media: dict[str, Any] = {"kind": "image", "uri": "a.jpg"}
    sized = media | {"length": len(IMAGES[0]), "mime": "image/jpeg"}
    table = records(*(row(n, [medium(0)], m) for n, m in [("a", media), ("b", sized)]))
    write("arrow", tmp_path, table)
    images = [i["bytes"] for r in read_back(tmp_path).to_pylist() for i in r["images"]]
    assert images == [IMAGES[0]] * 2


def test_records_without_images_and_with_a_large_one_share_a_batch(tmp_path: Path) -> None:
    large = os.urandom(3 << 20)
    media = tar(tmp_path / "in.tar", [IMAGES[0], large])
    table = records(
        row("a", [text("none")]),
        row("b", [medium(0), text("large")], media[1]),
        row("c", [medium(0), medium(1), text("both")], *media),
        row("d", [medium(0), text(None)], media[0]),
        row("e", [text("猫\U0001f408‏שלום")]),
        row("f", []),
    )
    commit = write("arrow", tmp_path, table)
    assert commit.rows == 6
    assert commit.quarantined == []
    found = read_back(tmp_path).to_pylist()
    assert [[i["bytes"] for i in r["images"]] for r in found] == [
        [], [large], [IMAGES[0], large], [IMAGES[0]], [], []
    ]  # fmt: skip
    assert found[1]["images"][0]["path"].endswith("-0.bin")
    assert found[4]["messages"][0]["content"][0]["text"] == "猫\U0001f408‏שלום"


def test_no_rows_make_a_shard_that_opens(tmp_path: Path) -> None:
    commits, _ = write_all("arrow", tmp_path, captioned(tmp_path, 1).slice(0, 0))
    assert [(c.rows, c.batches) for c in commits] == [(0, [])]
    assert read_back(tmp_path).num_rows == 0
    assert list(read_shards(str(tmp_path / "out"))) == []


def test_a_shard_is_an_uncompressed_stream_of_32_bit_columns_without_dictionaries(
    tmp_path: Path,
) -> None:
    table = captioned(tmp_path, 30)
    write("arrow", tmp_path, table)
    schema = read_back(tmp_path).schema
    assert schema == rows.schema(table.schema, [])
    types = str(schema)
    assert not any(kind in types for kind in ("large_", "dictionary", "_view"))
    raw = (tmp_path / "out" / "data-00000-of-00001.arrow").read_bytes()
    assert raw[:4] == b"\xff\xff\xff\xff"
    assert all(raw.count(data) == 10 for data in IMAGES)


@pytest.mark.parametrize("batch_rows", [1, 7, 100])
def test_a_batch_has_at_most_batch_rows_rows(tmp_path: Path, batch_rows: int) -> None:
    commit = write("arrow", tmp_path, captioned(tmp_path, 205), batch_rows=batch_rows)
    found = [batch.num_rows for batch in batches(tmp_path)]
    assert found == [b.rows for b in commit.batches]
    assert found == [batch_rows] * (205 // batch_rows) + [205 % batch_rows] * bool(205 % batch_rows)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=30), st.integers(2000, 20000))
def test_a_batch_has_at_most_batch_bytes_or_one_row(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], batch_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("caps")
    media = tar(folder / "in.tar", [bytes(size) for size in sizes])
    table = records(*(row(f"{n}", [medium(0), text("x" * n)], m) for n, m in enumerate(media)))
    write("arrow", folder, table, batch_bytes=batch_bytes)
    found = batches(folder)
    assert all(b.num_rows == 1 or b.nbytes <= batch_bytes for b in found)
    after = itertools.pairwise(found)
    assert all(a.nbytes + b.slice(0, 1).nbytes > 0.5 * batch_bytes for a, b in after)
    assert sum(b.num_rows for b in found) == len(sizes)


def test_the_manifest_has_the_offset_of_every_batch(tmp_path: Path) -> None:
    (commit,), _ = write_all("arrow", tmp_path, captioned(tmp_path, 250))
    path = tmp_path / "out" / "data-00000-of-00001.arrow"
    with pa.memory_map(str(path)) as file:
        schema = pa.ipc.read_schema(file)
        for (offset, count), batch in zip(commit.batches, batches(tmp_path), strict=True):
            file.seek(offset)
            found = pa.ipc.read_record_batch(pa.ipc.read_message(file), schema)
            assert found == batch
            assert found.num_rows == count


def test_a_commit_has_rows_bytes_and_digest_and_survives_json(tmp_path: Path) -> None:
    commit = write("arrow", tmp_path, captioned(tmp_path, 20))
    (entry,) = commit.files
    path = tmp_path / "out" / "data-00000-of-00001.arrow"
    assert (entry.name, entry.rows, entry.size_bytes, entry.digest) == (
        path.name, 20, path.stat().st_size, file_digest(str(path))
    )  # fmt: skip
    assert ShardCommit.model_validate_json(commit.model_dump_json()) == commit
    assert ShardCommit.model_validate(commit.model_dump(mode="json")) == commit


def test_writing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    table = captioned(tmp_path, 50)
    first = write_all("arrow", tmp_path, table, 3)
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    shutil.copytree(tmp_path / "out", tmp_path / "kept")
    assert write_all("arrow", tmp_path, table, 3) == first
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


@settings(max_examples=15)
@given(st.permutations(range(30)))
def test_the_bytes_do_not_depend_on_the_order_of_the_input(
    tmp_path_factory: pytest.TempPathFactory, shuffled: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("again")
    table = captioned(folder, 30)
    rough = pa.array([n if n % 3 else None for n in range(30)], pa.int64())
    table = table.append_column("x.rough", rough)
    write_all("arrow", folder, table, 2, columns=["x.rough"])
    before = {p.name: p.read_bytes() for p in (folder / "out").iterdir()}
    write_all("arrow", folder, table.take(pa.array(shuffled)), 2, columns=["x.rough"])
    assert {p.name: p.read_bytes() for p in (folder / "out").iterdir()} == before


def test_unreadable_media_quarantine_their_row_and_no_other(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    longer = tmp_path / "grown.jpg"
    longer.write_bytes(IMAGES[0] + b"!")
    grown = {"kind": "image", "uri": "grown.jpg", "length": len(IMAGES[0])}
    end = (tmp_path / "in.tar").stat().st_size
    cut = media[0] | {"offset": end - 10}
    missing = {"kind": "image", "uri": "missing.jpg"}
    missing_tar = media[0] | {"uri": "missing.tar"}
    table = records(
        row("a", [medium(0), text("fine")], media[0]),
        row("b", [medium(0), medium(1)], media[1], missing),
        row("c", [medium(0)], grown),
        row("d", [medium(0)], cut),
        row("e", [medium(0)], missing_tar),
        row("f", [medium(0), text("fine too")], media[2]),
    )
    commit = write("arrow", tmp_path, table)
    size = len(IMAGES[0])
    ids = table["id"].to_pylist()
    changed = f"bytes could be read instead of {size}. {FIX_CHANGED_FILE}"
    messages = {
        1: f"missing.jpg: there is no such file. {FIX_MISSING_FILE}",
        2: f"grown.jpg: the file has changed: {size + 1} {changed}",
        3: f"in.tar@{end - 10}: the file has changed: 10 {changed}",
        4: f"missing.tar: there is no such file. {FIX_MISSING_FILE}",
    }
    assert commit.rows == 2
    assert sorted(commit.quarantined) == sorted(
        Quarantined(ids[n], "web", f"in#{'abcdef'[n]}", "MediaError", messages[n]) for n in messages
    )
    found = read_back(tmp_path).to_pylist()
    assert [(r["id"], r["images"][0]["bytes"]) for r in found] == [
        (ids[0], IMAGES[0]), (ids[5], IMAGES[2])
    ]  # fmt: skip


def test_a_batch_without_a_readable_row_is_not_written(tmp_path: Path) -> None:
    missing = {"kind": "image", "uri": "missing.jpg"}
    table = records(row("a", [medium(0)], missing), row("b", [text("fine")]))
    commit = write("arrow", tmp_path, table, batch_rows=1)
    assert [b.rows for b in commit.batches] == [1]
    assert [q.origin for q in commit.quarantined] == ["in#a"]


def test_an_image_over_the_limit_quarantines_its_row_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "file.jpg").write_bytes(b"x" * 1001)
    media = tar(tmp_path / "in.tar", [b"x" * 1001, b"x" * 1000])
    file = {"kind": "image", "uri": "file.jpg"}
    table = records(*(row(f"{n}", [medium(0)], m) for n, m in enumerate([*media, file])))
    limited = Media(str(tmp_path), limits=Limits(max_bytes=1000))
    commit = formats.write("arrow", job(tmp_path, table)._replace(media=limited))
    fault = (
        "1001 bytes is over the limit of 1000. Raise media.max_bytes, or leave the record in "
        "quarantine."
    )
    assert [(q.origin, q.error, q.message) for q in commit.quarantined] == [
        ("in#0", "LimitError", f"in.tar: {fault}"), ("in#2", "LimitError", f"file.jpg: {fault}")
    ]  # fmt: skip
    assert [len(r["images"][0]["bytes"]) for r in read_back(tmp_path).to_pylist()] == [1000]


def test_a_row_with_too_many_media_bytes_is_quarantined_before_reading(tmp_path: Path) -> None:
    with open(tmp_path / "sparse.jpg", "wb") as file:
        file.truncate(600 << 20)
    sparse = {"kind": "image", "uri": "sparse.jpg"}
    media = tar(tmp_path / "in.tar", IMAGES)
    table = records(row("a", [medium(0)] * 4, sparse), row("b", [medium(0)], *media))
    generous = Media(str(tmp_path), limits=Limits(max_bytes=1 << 30))
    commit = formats.write("arrow", job(tmp_path, table)._replace(media=generous))
    assert [(q.origin, q.error) for q in commit.quarantined] == [("in#a", "LimitError")]
    assert [r["images"][0]["bytes"] for r in read_back(tmp_path).to_pylist()] == [IMAGES[0]]


def test_a_record_that_shows_media_it_does_not_have_is_quarantined(tmp_path: Path) -> None:
    commit = write("arrow", tmp_path, records(row("a", [medium(3)]), row("b", [text("t")])))
    assert commit.rows == 1
    assert [(q.origin, q.error, q.message) for q in commit.quarantined] == [
        (
            "in#a",
            "RowError",
            "a segment refers to an image or video that the record does not have",
        )
    ]


def test_kept_bytes_are_read_from_the_folder_of_the_parts(tmp_path: Path) -> None:
    (tmp_path / "00-read").mkdir()
    (tmp_path / "00-read" / "part.media").write_bytes(b"...." + IMAGES[0])
    kept = {"kind": "image", "uri": "kept:00-read/part.media", "offset": 4,
            "length": len(IMAGES[0])}  # fmt: skip
    write("arrow", tmp_path, records(row("a", [medium(0)], kept)))
    assert read_back(tmp_path)["images"][0].as_py()[0]["bytes"] == IMAGES[0]


def test_more_tars_are_read_than_are_kept_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.emit.payload.OPEN_FILES", 3)
    media = [tar(tmp_path / f"{n}.tar", [make_image(seed=n)])[0] for n in range(8)]
    table = records(*(row(f"{n}", [medium(0)], m) for n, m in enumerate(media)))
    write("arrow", tmp_path, table, batch_rows=5)
    images = [r["images"][0]["bytes"] for r in read_back(tmp_path).to_pylist()]
    assert images == [make_image(seed=n) for n in range(8)]


def test_chosen_measures_are_columns(tmp_path: Path) -> None:
    table = captioned(tmp_path, 3).append_column("words.count", pa.array([2, 2, 2], pa.int32()))
    write("arrow", tmp_path, table, columns=["words.count"])
    assert read_back(tmp_path)["words.count"].to_pylist() == [2, 2, 2]
    with pytest.raises(RecipeError, match=r"no column named 'words\.cuont'"):
        write("arrow", tmp_path, table, columns=["words.cuont"])


def test_cache_files_of_datasets_in_the_folder_are_ignored(tmp_path: Path) -> None:
    write_all("arrow", tmp_path, captioned(tmp_path, 9), 2)
    out = tmp_path / "out"
    shutil.copy(out / "data-00000-of-00002.arrow", out / "cache-5265.arrow")
    assert [Path(f).name for f in shard_files(str(out))] == [
        "data-00000-of-00002.arrow", "data-00001-of-00002.arrow"
    ]  # fmt: skip
    assert sum(t.num_rows for t in read_shards(str(out))) == 9


def test_the_manifest_names_every_shard_and_the_other_files(tmp_path: Path) -> None:
    commits, files = write_all("arrow", tmp_path, captioned(tmp_path, 9), 2)
    content = json.loads((tmp_path / "out" / "shards.json").read_text())
    assert [f.name for f in files] == ["dataset_info.json", "state.json", "shards.json"]
    assert content == {
        "format": "arrow",
        "fingerprint": "5eed",
        "rows": 9,
        "size_bytes": sum(c.size_bytes for c in commits),
        "quarantined": 0,
        "shards": [c.model_dump(mode="json", exclude={"quarantined"}) for c in commits],
        "beside": [f.model_dump() for f in files[:2]],
    }
    for entry in files:
        path = tmp_path / "out" / entry.name
        assert (entry.size_bytes, entry.digest) == (path.stat().st_size, file_digest(str(path)))


def test_a_manifest_is_not_written_if_a_shard_is_missing(tmp_path: Path) -> None:
    commits, _ = write_all("arrow", tmp_path, captioned(tmp_path, 9), 2)
    out = tmp_path / "out"
    (out / "shards.json").unlink()
    with pytest.raises(ManifestError, match="some shards are missing"):
        formats.finish("arrow", str(out), commits[1:], "5eed")
    with open(out / "data-00001-of-00002.arrow", "ab") as file:
        file.write(b"!")
    with pytest.raises(ManifestError, match="data-00001-of-00002"):
        formats.finish("arrow", str(out), commits, "5eed")
    assert not (out / "shards.json").exists()


def test_reading_without_a_manifest_or_without_a_shard_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no manifest"):
        shard_files(str(tmp_path))
    write_all("arrow", tmp_path, captioned(tmp_path, 9), 2)
    os.remove(tmp_path / "out" / "data-00001-of-00002.arrow")
    with pytest.raises(ManifestError, match=r"data-00001-of-00002\.arrow: the file does not exist"):
        list(read_shards(str(tmp_path / "out")))


def test_plain_pyarrow_reads_a_shard_from_a_pipe(tmp_path: Path) -> None:
    write("arrow", tmp_path, captioned(tmp_path, 9))
    data = (tmp_path / "out" / "data-00000-of-00001.arrow").read_bytes()
    assert pa.ipc.open_stream(io.BytesIO(data)).read_all() == read_back(tmp_path)
