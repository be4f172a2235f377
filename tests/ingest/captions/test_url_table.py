"""Tables of urls: joined to the images that are there, and nothing is fetched."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import cli
from curate.ingest import media_folder
from curate.ingest.captions.url_table import UrlTable
from curate.ingest.media_folder import MediaFolder
from curate.ingest.reader import Context, Failure, Head, Split
from manifests.errors import InputError, RowError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.storage import File
from tests.ingest.expected import caption_record, rows_and_failures
from tests.make import make_image, read_all
from tests.runs import curate, run_recipe, write_recipe

JPEG = make_image(64, 48)


def media(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "media" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)


def read(folder: Path, columns: dict[str, Any], **settings: Any) -> tuple[list[Any], list[Failure]]:
    (folder / "media").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / "a.parquet")
    reader = UrlTable(name="web", path="a.parquet", media_root="media", **settings)
    return rows_and_failures(reader, folder)


def uris(rows: list[Any]) -> list[str]:
    return [row["media"][0]["uri"] for row in rows]


def test_a_datacomp_row_is_its_local_image_its_text_and_all_else_as_meta(tmp_path: Path) -> None:
    media(tmp_path, "u2.jpg")
    columns = {
        "uid": ["u1", "u2"],
        "url": ["http://x/1.jpg", "http://x/2.jpg"],
        "text": ["a dog", "a cat"],
        "original_width": [640, 640],
        "original_height": [480.0, 480.0],
        "face_bboxes": [[], [[0.1, 0.2, 0.3, 0.4]]],
        "sha256": ["s1", "s2"],
    }
    rows, failures = read(tmp_path, columns)
    assert rows == [
        caption_record(
        "web", "a.parquet#1", "a cat",
        '{"uid":"u2","url":"http://x/2.jpg","original_width":640,'
                    '"original_height":480.0,"face_bboxes":[[0.1,0.2,0.3,0.4]],"sha256":"s2"}',
        uri="media/u2.jpg", length=len(JPEG), mime="image/jpeg", width=64, height=48,
    )
    ]  # fmt: skip
    sha, md5 = (hashlib.new(name, b"http://x/1.jpg").hexdigest() for name in ("sha256", "md5"))
    assert failures == [
        Failure(
            "a.parquet#0",
            "a.parquet#0",
            "MediaError",
            (
                "there is no image file for 'http://x/1.jpg' in the folder media: looked for u1, "
                f"{sha}, {md5}, 1.jpg. curate downloads no images: copy the file to this folder, "
                "or, if the reader has the setting `file`, set it to the template of the file's "
                "name."
            ),
        )
    ]


def test_laion_columns_are_found_in_any_case_and_sizes_may_be_floats(tmp_path: Path) -> None:
    url = "http://x/a?b=1"
    media(tmp_path, hashlib.sha256(url.encode()).hexdigest() + ".webp")
    columns = {"SAMPLE_ID": [7], "URL": [url], "TEXT": ["a"], "WIDTH": [640.0], "NSFW": ["UNSURE"]}
    (row,), failures = read(tmp_path, columns)
    assert failures == []
    assert row["content"][1]["text"] == "a"
    assert (row["media"][0]["width"], row["media"][0]["height"]) == (64, 48)
    assert orjson.loads(row["meta"]) == {
        "SAMPLE_ID": 7,
        "URL": url,
        "WIDTH": 640.0,
        "NSFW": "UNSURE",
    }


def test_usual_names_are_tried_in_order_and_need_no_suffix(tmp_path: Path) -> None:
    url = "http://x.com/p/photo.jpg?size=1#top"
    sha, md5 = (hashlib.new(name, url.encode()).hexdigest() for name in ("sha256", "md5"))
    names = ["u.png", "k.JPEG", f"{sha}.jpg", md5, "photo.jpg"]
    columns = {"uid": ["u"], "key": ["k"], "url": [url], "text": ["a"]}
    media(tmp_path, *names)
    for name in names:
        assert uris(read(tmp_path, columns)[0]) == [f"media/{name}"]
        (tmp_path / "media" / name).unlink()
    assert len(read(tmp_path, columns)[1]) == 1


def test_img2dataset_s_folders_are_found_by_key(tmp_path: Path) -> None:
    media(tmp_path, "00001/000010002.jpg")
    columns = {"key": ["000010002"], "url": ["http://x/"], "caption": ["a"]}
    assert uris(read(tmp_path, columns)[0]) == ["media/00001/000010002.jpg"]


def test_a_name_that_is_set_replaces_the_usual_ones_and_may_slice_columns(tmp_path: Path) -> None:
    media(tmp_path, "ab/cd/abcdef.png", "abcdef.jpg", "7.jpg")
    columns = {"uid": ["abcdef"], "id": [7], "url": ["http://x/1"], "text": ["a"]}
    found = {
        file: uris(read(tmp_path, columns, file=file)[0])
        for file in ("{uid[:2]}/{uid[2:4]}/{uid}", "{uid}.jpg", "{id}", "x-{uid}.jpg")
    }
    assert found == {
        "{uid[:2]}/{uid[2:4]}/{uid}": ["media/ab/cd/abcdef.png"],
        "{uid}.jpg": ["media/abcdef.jpg"],
        "{id}": ["media/7.jpg"],
        "x-{uid}.jpg": [],
    }
    assert uris(read(tmp_path, columns, file=["x-{uid}", "{id}"])[0]) == ["media/7.jpg"]


def test_a_name_that_leads_out_of_media_root_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    media(tmp_path, "ok.jpg")
    names = ["../secret", "/etc/passwd", "a/../../secret", "a\0/b", "..", "", None, "ok"]
    columns = {"uid": names, "url": ["http://x/"] * 8, "text": ["a"] * 8}
    rows, failures = read(tmp_path, columns, file="{uid}")
    assert uris(rows) == ["media/ok.jpg"]
    assert [re.split(r"\. (?:curate|Write) ", f.message)[0] for f in failures] == [
        "'../secret' is outside media_root",
        "'/etc/passwd' is not a path below media_root",
        "'a/../../secret' is outside media_root",
        "'a\\x00/b' is not a path below media_root",
        "there is no image file for 'http://x/' in the folder media: looked for ..",
        "no name of an image file can be made for 'http://x/': the columns that the names are made "
        "from are empty. Fill one of these columns, or leave the row in quarantine.",
        "no name of an image file can be made for 'http://x/': the columns that the names are made "
        "from are empty. Fill one of these columns, or leave the row in quarantine.",
    ]


def test_a_file_that_is_no_image_is_a_failure_that_names_it(tmp_path: Path) -> None:
    media(tmp_path, "b.jpg")
    (tmp_path / "media" / "a.jpg").write_bytes(b"<html>gone</html>")
    (tmp_path / "media" / "c.jpg").mkdir()
    columns = {"uid": ["a", "b", "c"], "url": ["x"] * 3, "text": ["a", None, "c"]}
    rows, failures = read(tmp_path, columns)
    assert [len(row["content"]) for row in rows] == [1]
    assert [f.message[:12] for f in failures] == ["media/a.jpg:", "media/c.jpg:"]


def test_rows_of_later_row_groups_keep_their_numbers(tmp_path: Path) -> None:
    media(tmp_path, *(f"{n}.jpg" for n in range(0, 10, 2)))
    table = pa.table({"uid": [str(n) for n in range(10)], "url": ["x"] * 10, "text": ["a"] * 10})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    found = read_all(UrlTable(name="w", path="*.parquet", media_root="media"), str(tmp_path))
    rows = [row for part in found for row in part.records.to_pylist()]
    assert [row["origin"] for row in rows] == [f"a.parquet#{n}" for n in range(0, 10, 2)]
    failures = [failure.key for part in found for failure in part.failures]
    assert failures == [f"a.parquet#{n}" for n in range(1, 10, 2)]


def test_an_image_that_arrives_later_is_found(tmp_path: Path) -> None:
    columns = {"uid": ["a"], "url": ["x"], "text": ["a"]}
    assert read(tmp_path, columns)[0] == []
    media(tmp_path, "a.jpg")
    assert uris(read(tmp_path, columns)[0]) == ["media/a.jpg"]


def test_each_folder_is_listed_once_for_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg")
    listed: list[str] = []
    really = media_folder._list_folder

    def noted(place: str) -> dict[str, str]:
        listed.append(place)
        return really(place)

    monkeypatch.setattr(media_folder, "_list_folder", noted)
    folder = MediaFolder("media", str(tmp_path))
    names = ["a/1", "a/2", "a/3", "b/1", "c/1", "c/2", "1"]
    assert [folder.find(name) for name in names] == [
        "media/a/1.jpg", "media/a/2.jpg", None, "media/b/1.jpg", None, None, None,
    ]  # fmt: skip
    assert listed == [f"{tmp_path}/media/{name}".rstrip("/") for name in ("a", "b", "c", "")]


def test_a_name_without_suffix_that_several_images_have_finds_none(tmp_path: Path) -> None:
    media(tmp_path, "a.png", "a.jpg", "a.txt", "a")
    folder = MediaFolder("media", str(tmp_path))
    assert [folder.find(name) for name in ("a", "a.png", "a.txt")] == [
        "media/a", "media/a.png", "media/a.txt",
    ]  # fmt: skip
    (tmp_path / "media" / "a").unlink()
    with pytest.raises(RowError, match=r"media/a: several images have the name a: a.jpg and a.png"):
        MediaFolder("media", str(tmp_path)).find("a")
    (tmp_path / "media" / "a.png").unlink()
    assert MediaFolder("media", str(tmp_path)).find("a") == "media/a.jpg"
    media(tmp_path, "b.JPG", "b.Jpg")
    folder = MediaFolder("media", str(tmp_path))
    assert folder.find("b.JPG") == "media/b.JPG"
    with pytest.raises(
        RowError, match=r"b.Jpg. Keep only one .* the name exactly, with its suffix"
    ):
        folder.find("b.jpg")


def test_names_have_backslashes_full_paths_and_suffixes_in_any_case(tmp_path: Path) -> None:
    media(tmp_path, "sub/a.JPG", "b.png", "c.jpg", "c.JPG")
    folder = MediaFolder("media", str(tmp_path))
    names = ["sub\\a", "sub/a.jpg", "sub\\a.JPG", f"{tmp_path}/media/sub/a.jpg", "b.PNG"]
    assert [folder.find(name) for name in names] == ["media/sub/a.JPG"] * 4 + ["media/b.png"]
    assert [folder.find(name) for name in ("c.jpg", "c.JPG")] == ["media/c.jpg", "media/c.JPG"]


def test_no_rows_are_no_records(tmp_path: Path) -> None:
    columns = {"url": pa.array([], pa.string()), "text": pa.array([], pa.string())}
    assert read(tmp_path, columns) == ([], [])


@pytest.mark.parametrize(
    ("columns", "settings", "fault"),
    [
        (
            {"url": ["x"], "title": ["a"]},
            {},
            "the table has no text column with a usual name (caption, text, txt",
        ),
        (
            {"text": ["a"], "link": ["x"]},
            {},
            "(url, uid or key); its columns are: text, link",
        ),
        ({"text": ["a"], "url": ["x"]}, {"url": "link"}, "no column 'link'"),
        ({"text": ["a"], "url": ["x"]}, {"text": "txet"}, "Did you mean 'text'?"),
        ({"text": ["a"], "uid": ["x"]}, {"file": "{udi}"}, "no column 'udi'. Did you mean 'uid'?"),
        ({"text": ["a"], "uid": ["x"]}, {"file": "{url_md5}"}, "no column 'url_md5'"),
        ({"text": ["a"], "uid": [{"a": 1}]}, {"file": "{uid}"}, "column 'uid' is struct<a: int64>"),
        ({"text": ["a"], "url": [{"a": 1}]}, {}, "column 'url' is struct<a: int64>, which"),
    ],
)
def test_a_missing_column_is_an_input_error_that_lists_the_columns(
    tmp_path: Path, columns: dict[str, Any], settings: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, columns, **settings)
    assert error.value.place == "a.parquet"
    assert fault in str(error.value)


def test_a_missing_media_root_is_an_input_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"url": ["x"], "text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"^nowhere: there is no such folder"):
        read_all(UrlTable(name="w", path="*", media_root="nowhere"), str(tmp_path))


def test_tables_of_text_without_images_are_sniffed(tmp_path: Path) -> None:
    tables = {
        "laion": pa.table({"URL": ["x"], "TEXT": ["a"]}),
        "own names": pa.table({"link": ["x"]}),  # `url: link` may be set
        "numbers": pa.table({"url": [1]}),
        "struct": pa.table({"image": [{"bytes": JPEG}], "caption": ["a"]}),
        "jpg": pa.table({"jpg": [JPEG], "caption": ["a"]}),
    }
    sniffed = set()
    for name, table in tables.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        if UrlTable.sniff(Head(File(str(path), path.name, 1, 0), b"PAR1")):
            sniffed.add(name)
    assert sniffed == {"laion", "own names"}


def test_every_row_of_img2dataset_s_own_url_lists_is_a_record_or_a_failure(
    real_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    folder = real_data / "captions" / "img2dataset_tests" / "test_files"
    first = pq.read_table(folder / "test_1000.parquet")["URL"][0].as_py()
    media(tmp_path, hashlib.md5(first.encode()).hexdigest() + ".jpg")
    reader = UrlTable(name="w", path=f"{folder}/*.parquet", media_root="media")
    found = read_all(reader, str(tmp_path))
    # the url of the first image stands in both of the longer lists
    assert sum(part.records.num_rows for part in found) == 2
    assert sum(len(part.failures) for part in found) == 2 + 1000 + 10000 - 2


def test_urls_with_the_same_last_part_do_not_share_an_image(tmp_path: Path) -> None:
    media(tmp_path, "1.jpg", "2.jpg", "u9.jpg")
    urls = ["http://a/1.jpg", "http://b/1.jpg?x=1", "http://a/2.jpg", "http://a/2.jpg",
            "http://b/1.JPG", "http://c/1.jpg"]  # fmt: skip
    uids = [f"u{n}" for n in range(5)] + ["u9"]
    rows, failures = read(tmp_path, {"uid": uids, "url": urls, "text": ["a"] * 6})
    assert [(row["origin"], row["media"][0]["uri"]) for row in rows] == [
        ("a.parquet#2", "media/2.jpg"), ("a.parquet#3", "media/2.jpg"),
        ("a.parquet#5", "media/u9.jpg"),
    ]  # fmt: skip
    assert [failure.key for failure in failures] == ["a.parquet#0", "a.parquet#1", "a.parquet#4"]
    assert failures[0].message == (
        "media/1.jpg: 4 different urls of the file, with 'http://a/1.jpg' among them, have the "
        "same last part, so it is not known from which of these urls the image with this name was "
        "downloaded. Name each image by its complete url, for example by the SHA-256 of the url, "
        "and set `file` to the pattern of these names, such as `{url_sha256}`. If the "
        "reader has no setting `file`, leave the rows in quarantine."
    )


def test_urls_in_other_row_groups_are_compared_too(tmp_path: Path) -> None:
    media(tmp_path, "1.jpg")
    table = pa.table({"url": ["http://a/1.jpg", "http://b/1.jpg"], "text": ["a", "b"]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
    reader = UrlTable(name="web", path="a.parquet", media_root="media", file="{url_name}")
    [file] = reader.list_files(str(tmp_path))
    for group in range(2):
        context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
        found = list(reader.read(Split((file,), group, group + 1, group), context))
        assert [batch.records.num_rows for batch in found] == [0]


@pytest.mark.parametrize("rows", [1, 300])
def test_urls_of_other_files_with_the_same_last_part_stop_the_run(
    tmp_path: Path, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{n}.jpg" for n in range(rows)]
    media(tmp_path, *names)
    for host in ("a", "b"):
        urls = [f"http://{host}/{name}" for name in names]
        (tmp_path / "in").mkdir(exist_ok=True)
        table = pa.table({"url": urls, "text": ["x"] * rows})
        pq.write_table(table, tmp_path / "in" / f"{host}.parquet")
    source = {"name": "web", "reader": "url_table", "path": "in", "media_root": "media"}
    write_recipe(tmp_path, source)
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == cli.FAILED
    some = min(rows, 64)
    assert f"curate: in: {some} of {some} image names that were compared are the last part of" in (
        capsys.readouterr().err
    )
    pq.write_table(pa.table({"url": urls[:1], "text": ["x"]}), tmp_path / "in" / "a.parquet")
    assert len(run_recipe(tmp_path, source).rows) == rows + 1


def test_a_uuid_is_its_text_and_marked_bytes_are_no_text(tmp_path: Path) -> None:
    name = "01234567-89ab-cdef-0123-456789abcdef"
    raw = pa.array([bytes.fromhex(name.replace("-", ""))], pa.binary(16))
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), raw)
    media(tmp_path, f"{name}.jpg")
    for text in ("A cat.", b"A cat.", [b"A cat."]):
        rows, failures = read(tmp_path, {"uid": uuids, "t": [text], "m": uuids}, text="t")
        assert (rows[0]["content"][1]["text"], failures) == ("A cat.", [])
        assert orjson.loads(rows[0]["meta"])["m"] == name
    opaque = pa.opaque(pa.binary(), "kind", "vendor")
    marked = pa.ExtensionArray.from_storage(opaque, pa.array([b"some text"]))
    for values in (raw, pa.array([b"text"], pa.binary(4)), marked):
        for columns in ({"uid": uuids, "t": values}, {"uid": values, "t": ["A cat."]}):
            with pytest.raises(InputError, match="bytes whose Arrow type says that they are not"):
                read(tmp_path, columns, text="t")
