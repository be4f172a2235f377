"""Header-less tables of urls and captions, in either order."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions import tsv
from curate.ingest.captions.tsv import Tsv
from curate.ingest.formats import lines
from curate.ingest.media_root import _FIX_FULL
from curate.ingest.reader import Failure, Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.expected import caption_record, rows_and_failures
from tests.make import make_image

JPEG = make_image(64, 48)
CC3M = "a dog runs\thttp://x.com/dog.jpg\na cat sits\thttp://x.com/cat.jpg\n"
CC12M = "http://x.com/dog.jpg\ta dog runs\nhttp://x.com/cat.jpg\ta cat sits\n"


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    for name in ("dog.jpg", "cat.jpg"):
        (tmp_path / "media" / name).write_bytes(JPEG)


def read(
    folder: Path, data: str | bytes, name: str = "a.tsv", **settings: Any
) -> tuple[list[Any], list[Failure]]:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return rows_and_failures(Tsv(name="cc", path=name, media_root="media", **settings), folder)


def summary(rows: list[Any]) -> list[tuple[str, str, str | None]]:
    """Origin, image and text of each record."""
    return [(row["origin"], row["media"][0]["uri"], row["content"][-1]["text"]) for row in rows]


BOTH = [("a.tsv#1", "media/dog.jpg", "a dog runs"), ("a.tsv#2", "media/cat.jpg", "a cat sits")]


@pytest.mark.parametrize("data", [CC3M, CC12M], ids=["CC3M", "CC12M"])
def test_both_orders_of_columns_are_recognised_and_give_the_same(tmp_path: Path, data: str) -> None:
    rows, failures = read(tmp_path, data)
    assert failures == []
    assert rows[1] == caption_record(
        "cc",
        "a.tsv#2",
        "a cat sits",
        '{"url":"http://x.com/cat.jpg"}',
        uri="media/cat.jpg",
        length=len(JPEG),
        mime="image/jpeg",
        width=64,
        height=48,
    )
    assert summary(rows) == BOTH


@pytest.mark.parametrize(
    ("header", "data"), [("caption\turl", CC3M), ("URL\tTEXT", CC12M), ("title\tfile", CC3M)]
)
def test_a_header_line_is_no_row_but_is_counted(tmp_path: Path, header: str, data: str) -> None:
    rows, failures = read(tmp_path, f"{header}\n{data}")
    assert failures == []
    assert [row["origin"] for row in rows] == ["a.tsv#2", "a.tsv#3"]


def test_crlf_a_byte_order_mark_and_a_missing_last_newline_change_nothing(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + CC3M.strip().replace("\n", "\r\n").encode()
    assert summary(read(tmp_path, data)[0]) == BOTH


def test_a_column_may_hold_paths(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, "dog.jpg\ta dog\ncat.jpg\ta cat\n../a.tsv\tno\n/etc/x\tno\n")
    assert summary(rows) == [
        ("a.tsv#1", "media/dog.jpg", "a dog"),
        ("a.tsv#2", "media/cat.jpg", "a cat"),
    ]
    assert [f.message for f in failures] == [
        "'../a.tsv' is outside media_root",
        f"'/etc/x' is not a path below media_root. {_FIX_FULL}",
    ]


def test_captions_may_hold_tabs(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "a\tdog\thttp://x.com/dog.jpg\na\tcat\thttp://x.com/cat.jpg\n")
    assert [row["content"][1]["text"] for row in rows] == ["a\tdog", "a\tcat"]
    rows, _ = read(tmp_path, "http://x.com/dog.jpg\ta\tdog\nhttp://x.com/cat.jpg\ta\tcat\n")
    assert [row["content"][1]["text"] for row in rows] == ["a\tdog", "a\tcat"]


def test_an_empty_caption_is_an_image_alone(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, CC12M + "http://x.com/dog.jpg\t\nhttp://x.com/dog.jpg\t  \n")
    assert failures == []
    assert [len(row["content"]) for row in rows] == [2, 2, 1, 1]


def test_lines_that_are_no_row_are_failures_with_their_line_and_blank_ones_are_nothing(
    tmp_path: Path,
) -> None:
    data = CC3M.encode() + b"\n  \nno tab\ncaf\xe9\thttp://x.com/dog.jpg\nx\thttp://x.com/none.jpg"
    rows, failures = read(tmp_path, data)
    assert len(rows) == 2
    url = b"http://x.com/none.jpg"
    sha, md5 = hashlib.sha256(url).hexdigest(), hashlib.md5(url).hexdigest()
    assert failures == [
        Failure(
            "a.tsv#5",
            "a.tsv#5",
            "RowError",
            "line 5 has no tab: it has one column instead of two. Separate the url and the caption "
            "by a tab.",
        ),
        Failure(
            "a.tsv#6",
            "a.tsv#6",
            "RowError",
            ("line 6, byte 3: 0xe9 is not UTF-8. Convert the file to UTF-8."),
        ),
        Failure(
            "a.tsv#7",
            "a.tsv#7",
            "MediaError",
            (
                "there is no image file for 'http://x.com/none.jpg' in the folder media: looked "
                f"for {sha}, {md5}, none.jpg. curate downloads no images: copy the file to this "
                "folder, or, if the reader has the setting `file`, set it to the template of the "
                "file's name."
            ),
        ),
    ]


def test_images_may_be_named_by_the_digest_of_their_url(tmp_path: Path) -> None:
    name = hashlib.sha256(b"http://x.com/dog.jpg").hexdigest()
    (tmp_path / "media" / f"{name}.png").write_bytes(JPEG)
    assert summary(read(tmp_path, CC12M)[0])[0][1] == f"media/{name}.png"
    rows, failures = read(tmp_path, CC12M, file="{url_name}")
    assert summary(rows) == BOTH
    rows, failures = read(tmp_path, CC12M, file="{url_sha256}.png")
    assert (len(rows), len(failures)) == (1, 1)


def test_records_are_the_same_for_any_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = "caption\turl\n" + CC3M * 20 + "no tab\n" + CC3M * 20
    whole = read(tmp_path, data)
    assert (len(whole[0]), len(whole[1])) == (80, 1)
    for split_bytes in (1, 100, 1000):
        monkeypatch.setattr(lines.line_splits, "__defaults__", (split_bytes,))
        assert read(tmp_path, data) == whole


def test_a_compressed_file_is_read_as_its_text(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, gzip.compress(CC3M.encode()), "a.tsv.gz")
    assert [row["origin"] for row in rows] == ["a.tsv.gz#1", "a.tsv.gz#2"]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ([], [])
    assert read(tmp_path, "\n\n") == ([], [])
    assert read(tmp_path, "caption\turl\n") == ([], [])


def test_a_file_without_urls_is_an_input_error_unless_the_column_is_named(
    tmp_path: Path,
) -> None:
    data = "dog\ta dog runs\ncat\ta cat sits\n"
    with pytest.raises(InputError, match=r"^a\.tsv: it is not clear which of the two columns has"):
        read(tmp_path, data)
    rows, failures = read(tmp_path, data, url="first")
    assert failures == []
    assert summary(rows) == BOTH


def test_a_name_made_of_a_missing_column_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'key'\. The known names are: url, url_md5"):
        read(tmp_path, CC3M, file="{key}")


def test_urls_and_captions_by_tab_are_sniffed() -> None:
    def sniffed(data: str) -> bool:
        return Tsv.sniff(Head(File("a.tsv", "a.tsv", len(data), 0), data.encode()))

    assert sniffed(CC3M)
    assert sniffed(CC12M + "http://x.com/do")
    assert sniffed("caption\turl\n" + CC3M)
    assert sniffed("a/b.PNG\tcaffè\n")
    assert sniffed("17\ta dog\n")  # `url: first` may be set
    assert not sniffed("a line\n" * 3 + "a\tb\n")
    assert not sniffed("")
    assert not sniffed('{"url": "http://x.com/a.jpg"}\n')
    assert not sniffed("http://x.com/a.jpg\n")
    assert tsv.Tsv.suffixes[:3] == (".tsv", ".tsv.gz", ".tsv.zst")


def test_lines_whose_urls_have_the_same_last_part_do_not_share_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = CC3M + "a third dog\thttp://other.com/dog.jpg\n"
    for split_bytes in (1, 1 << 20):
        monkeypatch.setattr(lines.line_splits, "__defaults__", (split_bytes,))
        rows, failures = read(tmp_path, data)
        assert [row["media"][0]["uri"] for row in rows] == ["media/cat.jpg"]
        assert ["2 different urls of the file" in failure.message for failure in failures] == [
            True, True,
        ]  # fmt: skip
