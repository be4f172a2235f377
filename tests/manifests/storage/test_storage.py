"""Files appear completely or not at all; listed names do not depend on where the data is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from manifests import storage
from manifests.errors import ManifestError, StorageError, UnreadableError
from manifests.storage import parts


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a/1.tar", "a/b/2.tar", "a/b/3.txt", "4.tar", "a/.hidden", "a/.x.tar.1.tmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["4.tar", "a/1.tar", "a/b/2.tar", "a/b/3.txt"]),
        ("*.tar", ["4.tar"]),
        ("a", ["1.tar", "b/2.tar", "b/3.txt"]),
        ("a/*", ["1.tar"]),
        ("**/*.tar", ["4.tar", "a/1.tar", "a/b/2.tar"]),
        ("a/b/[23].t?r", ["2.tar"]),
        ("4.tar", ["4.tar"]),
        ("nothing/*", []),
        ("nothing", []),
    ],
)
def test_files_are_listed_by_their_names_below_the_fixed_folder(
    tree: Path, pattern: str, names: list[str]
) -> None:
    listed = storage.list_files(str(tree / pattern))
    assert [file.name for file in listed] == names
    assert all(Path(file.uri).read_bytes() == b"x" and file.size == 1 for file in listed)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "no/such"])
def test_a_name_that_no_file_can_have_is_the_name_of_no_file(tmp_path: Path, name: str) -> None:
    assert storage.size_and_stamp(str(tmp_path / name)) is None


def test_a_write_that_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with storage.writing(str(tmp_path / "f")) as sink:
            sink.write(b"half")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_file_has_the_old_content_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "f"
    storage.write_bytes(str(path), b"old")
    with storage.writing(str(path)) as sink:
        sink.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_temporary_files_of_killed_processes_are_deleted_and_no_others(tmp_path: Path) -> None:
    kept = {"part.arrow", ".hidden.tmp", "a/.part.arrow.0a_9zz9z.tmp", "a/b.tmp"}
    (tmp_path / "a").mkdir()
    for name in (*kept, ".part.arrow.0a_9zz9z.tmp"):
        (tmp_path / name).write_bytes(b"")
    storage.clear_unfinished(str(tmp_path))
    assert {*storage.files_below(str(tmp_path))} == kept
    storage.clear_unfinished(str(tmp_path), below=True)
    assert {*storage.files_below(str(tmp_path))} == kept - {"a/.part.arrow.0a_9zz9z.tmp"}


@pytest.mark.parametrize(
    ("base", "uri", "path"),
    [
        ("/data", "web/a.tar", "/data/web/a.tar"),
        ("/data", "/other/a.tar", "/other/a.tar"),
        ("/data", "s3://b/a.tar", "s3://b/a.tar"),
        ("/data", "file:///x/a", "/x/a"),
        ("", "a", "a"),
        ("s3://b/out?region=x", "steps", "s3://b/out/steps?region=x"),
    ],
)
def test_relative_uris_are_below_the_base(base: str, uri: str, path: str) -> None:
    assert storage.resolve(base, uri) == path


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("a/b.json", "a"),
        ("b.json", ""),
        ("/b.json", "/"),
        ("a?/b.json", "a?"),
        ("s3://data/a/b.json", "s3://data/a"),
        ("s3://data/a/b.json?endpoint_override=h/x", "s3://data/a?endpoint_override=h/x"),
    ],
)
def test_the_folder_of_a_file_keeps_the_query_of_its_url(uri: str, folder: str) -> None:
    assert storage.folder_of(uri) == folder


def test_errors_of_the_system_name_the_file_and_a_fix(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing: there is no such file"):
        storage.read_bytes(str(tmp_path / "nothing"))
    with (
        pytest.raises(StorageError, match=r"f: no space left on the device"),
        storage.storage_errors("f"),
    ):
        raise OSError(errno.ENOSPC, "full")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EIO, "bad block"), UnreadableError),
        (PermissionError(errno.EACCES, "Permission denied"), UnreadableError),
        (OSError("AWS Error ACCESS_DENIED during GetObject operation: "), UnreadableError),
        (OSError("AWS Error NO_SUCH_KEY during GetObject operation: gone"), UnreadableError),
        (OSError("AWS Error NO_SUCH_BUCKET during GetObject operation: gone"), StorageError),
        (OSError("AWS Error NETWORK_CONNECTION during GetObject operation: "), StorageError),
    ],
)
def test_errors_of_one_file_differ_from_those_of_all_files(
    error: OSError, kind: type[StorageError]
) -> None:
    with pytest.raises(StorageError) as raised, storage.storage_errors("s3://b/f"):
        raise error
    assert type(raised.value) is kind


def test_a_part_keeps_empty_batches_and_reads_chosen_columns(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    uri = str(tmp_path / "p.arrow")
    entry = parts.write(uri, table.schema, [table.slice(0, 2), table.slice(0, 0), table.slice(2)])
    assert (entry.rows, entry.size_bytes) == (3, (tmp_path / "p.arrow").stat().st_size)
    reader = parts.open_part(uri)
    assert [reader.get_batch(n).num_rows for n in range(3)] == [2, 0, 1]
    assert parts.read_columns(uri, ("b",)).to_pydict() == {"b": ["x", None, "z"]}
    assert [t.num_rows for t in parts.read(uri, 1)] == [1, 1, 1]


def test_a_file_that_is_no_part_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "p.arrow").write_bytes(b"something else entirely")
    with pytest.raises(
        ManifestError, match=r"p\.arrow: this is not the Arrow file that belongs here"
    ):
        parts.open_part(str(tmp_path / "p.arrow"))


def test_permissions_of_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        storage.write_bytes(str(tmp_path / "f"), b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


def test_a_folder_in_the_place_of_a_file_is_an_error_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "f").write_text("x")
    for name in ("link", "f", "f/below"):
        with pytest.raises(StorageError, match="cannot be a folder: it is a file or a broken link"):
            storage.make_folder(str(tmp_path / name))
