"""img2dataset's parquet shards: images kept byte for byte, failed downloads are failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.captions.img2dataset import Img2DatasetParquet
from curate.ingest.formats import parquet
from curate.ingest.reader import Failure, Head
from manifests.errors import InputError
from manifests.media import Limits
from manifests.storage import File
from tests.ingest.expected import caption_record
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import make_image, read_all

JPEG, PNG = make_image(64, 48), make_image(20, 10, kind="PNG")


def shard(folder: Path, rows: list[dict[str, Any]], column: str = "jpg") -> None:
    usual = {"status": "success", "error_message": None}
    whole = [
        {"url": f"http://x/{n}", "key": f"{n:09d}", **usual, **row} for n, row in enumerate(rows)
    ]
    schema = pa.Table.from_pylist(whole).schema
    at = schema.get_field_index(column)
    table = pa.Table.from_pylist(whole, schema.set(at, pa.field(column, pa.binary())))
    pq.write_table(table, folder / "00000.parquet")


def reader() -> Img2DatasetParquet:
    return Img2DatasetParquet(name="web", path="*.parquet")


def test_a_row_is_an_image_kept_byte_for_byte_its_caption_and_all_else_as_meta(
    tmp_path: Path,
) -> None:
    shard(tmp_path, [{"jpg": PNG, "caption": "first"}, {"jpg": JPEG, "caption": "a cat"}])
    (found,) = read_kept(reader(), tmp_path)
    row = found.records.to_pylist()[1]
    assert found.failures == []
    assert kept_bytes(tmp_path, row["media"][0]) == JPEG
    assert row == caption_record(
        "web",
        "00000.parquet#1",
        "a cat",
        '{"url":"http://x/1","key":"000000001","status":"success","error_message":null}',
        uri="kept:kept.bin",
        offset=len(PNG),
        length=len(JPEG),
        mime="image/jpeg",
        width=64,
        height=48,
    )


def test_a_row_that_failed_is_a_failure_with_its_status_and_message(tmp_path: Path) -> None:
    failed = {"status": "failed_to_download", "error_message": "HTTP Error 404: Not Found"}
    shard(tmp_path, [{"jpg": JPEG, "caption": "a"}, {"jpg": None, "caption": "b", **failed}])
    (found,) = read_kept(reader(), tmp_path)
    assert found.records.num_rows == 1
    assert found.failures == [
        Failure(
            "00000.parquet#1",
            "00000.parquet#1",
            "RowError",
            (
                "the row has no image bytes: status is 'failed_to_download', error_message "
                "is 'HTTP Error 404: Not Found'"
            ),
        )
    ]


def test_bytes_that_are_no_image_are_failures_and_not_kept(tmp_path: Path) -> None:
    rows = [{"jpg": data, "caption": "a"} for data in (b"<html>", b"", JPEG[:20], JPEG)]
    shard(tmp_path, rows)
    (found,) = read_kept(reader(), tmp_path)
    assert [(f.key, f.error) for f in found.failures] == [
        ("00000.parquet#0", "MediaError"),
        ("00000.parquet#1", "MediaError"),
        ("00000.parquet#2", "MediaError"),
    ]
    assert (tmp_path / "kept.bin").read_bytes() == JPEG


def test_images_over_the_limits_are_failures(tmp_path: Path) -> None:
    shard(tmp_path, [{"jpg": JPEG, "caption": "a"}, {"jpg": PNG, "caption": "b"}])
    (found,) = read_kept(reader(), tmp_path, Limits(max_pixels=64 * 48 - 1))
    assert [(f.key, f.error) for f in found.failures] == [("00000.parquet#0", "LimitError")]
    (found,) = read_kept(reader(), tmp_path, Limits(max_bytes=len(PNG)))
    assert [f.message for f in found.failures] == [
        (
            f"{len(JPEG)} bytes is over the limit of {len(PNG)}. Raise media.max_bytes, "
            "or leave the file in quarantine."
        )
    ]


def test_txt_is_the_text_if_caption_is_blank_and_no_text_is_an_image_alone(
    tmp_path: Path,
) -> None:
    texts = [("a", "b"), (None, "b"), (" ", None)]
    shard(tmp_path, [{"jpg": JPEG, "caption": c, "txt": t} for c, t in texts])
    (found,) = read_kept(reader(), tmp_path)
    content = found.records["content"].to_pylist()
    assert [[s["text"] for s in row] for row in content] == [[None, "a"], [None, "b"], [None]]


def test_a_shard_without_captions_is_images_alone(tmp_path: Path) -> None:
    shard(tmp_path, [{"webp": make_image(kind="WEBP")}], column="webp")
    (found,) = read_kept(reader(), tmp_path)
    (row,) = found.records.to_pylist()
    assert [s["kind"] for s in row["content"]] == ["image"]
    assert row["media"][0]["mime"] == "image/webp"


def test_bytes_in_large_binary_and_in_later_row_groups_are_the_same(tmp_path: Path) -> None:
    datas = [make_image(16 + n, 16, n) for n in range(7)]
    table = pa.table({"jpg": pa.array(datas, pa.large_binary()), "caption": list("abcdefg")})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    found = read_kept(reader(), tmp_path)
    rows = [row for part in found for row in part.records.to_pylist()]
    assert [kept_bytes(tmp_path, row["media"][0]) for row in rows] == datas
    assert [row["media"][0]["width"] for row in rows] == [16, 17, 18, 19, 20, 21, 22]
    assert [row["origin"] for row in rows] == [f"a.parquet#{n}" for n in range(7)]


def test_records_are_the_same_for_every_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(tmp_path, [{"jpg": make_image(16 + n, 16, n), "caption": str(n)} for n in range(9)])
    (whole,) = read_kept(reader(), tmp_path)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    parts = read_kept(reader(), tmp_path)
    assert len(parts) == 5
    assert pa.concat_tables([p.records for p in parts]).equals(whole.records)


def test_a_shard_without_rows_has_no_records(tmp_path: Path) -> None:
    table = pa.table({"jpg": pa.array([], pa.binary()), "caption": pa.array([], pa.string())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert sum(f.records.num_rows + len(f.failures) for f in read_kept(reader(), tmp_path)) == 0


def test_a_table_of_urls_alone_is_an_input_error_that_names_the_reader_for_it(
    tmp_path: Path,
) -> None:
    pq.write_table(pa.table({"url": ["http://x"], "jpg": ["a path"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: the table has no binary column .*url_table"):
        read_all(reader(), str(tmp_path))


def test_only_a_column_of_bytes_named_by_its_format_is_sniffed(tmp_path: Path) -> None:
    tables = {
        "jpg": pa.table({"jpg": [JPEG]}),
        "path": pa.table({"jpg": ["a.jpg"]}),
        "struct": pa.table({"image": [{"bytes": JPEG}]}),
    }
    sniffed = set()
    for name, table in tables.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        if Img2DatasetParquet.sniff(Head(File(str(path), path.name, 1, 0), b"PAR1")):
            sniffed.add(name)
    assert sniffed == {"jpg"}
