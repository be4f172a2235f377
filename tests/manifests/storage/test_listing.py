"""Entries that are not readable files are listed by name; nothing that a run wrote is listed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from manifests import storage
from manifests.errors import StorageError
from manifests.storage import files, listing
from manifests.storage.listing import DENIED, LOOP, MISSING, NOT_REGULAR, NOT_UTF8
from tests.servers import server


def test_odd_entries_are_listed_with_their_fault(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.jpg").write_bytes(b"a")
    data.mkdir()
    (data / "own.jpg").write_bytes(b"ab")
    (data / "gone.jpg").symlink_to("nowhere")
    (data / "self.jpg").symlink_to("self.jpg")
    (data / "photos").symlink_to("../store")
    (data / "up").symlink_to(".")
    os.mkfifo(data / "pipe.jpg")
    Path(os.fsdecode(os.fsencode(data) + b"/b\xff.jpg")).write_bytes(b"b")
    found = {file.name: file.size for file in storage.list_entries(str(data))}
    assert found == {
        "b\\udcff.jpg": NOT_UTF8, "gone.jpg": MISSING, "own.jpg": 2, "photos/a.jpg": 1,
        "pipe.jpg": NOT_REGULAR, "self.jpg": LOOP, "up": LOOP,
    }  # fmt: skip
    files = [file.name for file in storage.list_files(str(data / "*.jpg"))]
    assert files == ["own.jpg"]


def test_what_a_run_wrote_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "out" / "steps" / "00-web-0123456789abcdef").mkdir(parents=True)
    (tmp_path / "out" / "a.json").write_bytes(b"{}")
    (tmp_path / "b.json").write_bytes(b"{}")
    for pattern in ("", "**/*.json"):
        assert [f.name for f in storage.list_files(str(tmp_path / pattern))] == ["b.json"]
    assert [f.name for f in storage.list_files(str(tmp_path / "out"))] == ["a.json"]


def test_a_file_without_permission_is_listed_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("b.jpg"))  # as no root
    found = {file.name: file.size for file in storage.list_entries(str(tmp_path))}
    assert found == {"a.jpg": 1, "b.jpg": DENIED}
    assert "chmod u+r" in storage.FAULTS[DENIED]


class Overlapping(pafs.FSSpecHandler):  # type: ignore[misc]
    """A file system whose recursive list has each file twice, as pages that overlap."""

    def __init__(self) -> None:
        pass

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [pafs.FileInfo(path, pafs.FileType.Directory) for path in paths]

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        return [pafs.FileInfo("b/d/a.jsonl", pafs.FileType.File, size=3)] * 2


def test_a_file_in_a_folder_without_permission_is_no_link_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    stat = os.stat

    def denied(path: str, **options: bool) -> os.stat_result:  # as no root
        if str(path).endswith("a.jpg"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", denied)
    assert {file.name: file.size for file in storage.list_entries(str(tmp_path))} == {
        "a.jpg": DENIED
    }


def test_an_object_that_is_listed_twice_is_one_file() -> None:
    root, found = listing._infos(pafs.PyFileSystem(Overlapping()), "b/d")
    assert (root, [info.path for info in found]) == ("b/d", ["b/d/a.jsonl"])


PAGE = b"""<ListBucketResult><IsTruncated>true</IsTruncated>
<NextContinuationToken>again</NextContinuationToken><Contents><Key>d/a.jsonl</Key><Size>3</Size>
<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"""


@pytest.mark.parametrize("ask", [storage.names, storage.files_below])
def test_a_list_that_never_ends_is_an_error(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], object]
) -> None:
    monkeypatch.setattr(files, "LIST_SECONDS", 1.0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(PAGE)}\r\n"
    with server(f"{head}Connection: close\r\n\r\n".encode() + PAGE) as port:
        query = f"?region=r&scheme=http&endpoint_override=127.0.0.1:{port}"
        with pytest.raises(StorageError, match=r"b/d.*: the list .* after 1 seconds"):
            ask(f"s3://b/d{query}")


def test_an_object_whose_name_is_not_utf8_is_listed_with_its_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = PAGE.replace(b"<IsTruncated>true", b"<IsTruncated>false").replace(b"d/a.", b"d/\x9ba.")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(page)}\r\n"
    with server(f"{head}Connection: close\r\n\r\n".encode() + page) as port:
        url = f"s3://b/d?region=r&scheme=http&endpoint_override=127.0.0.1:{port}"
        assert storage.files_below(url) == ["\udc9ba.jsonl"]
        [listed] = files.list_objects(*storage.filesystem(url), recursive=True)
    found = listing._remote_file("b/d", listed)
    assert (found.name, found.size) == ("\\udc9ba.jsonl", NOT_UTF8)
