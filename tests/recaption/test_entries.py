"""Files of a journal are made, written and read completely or with a named error."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from manifests.errors import StorageError, UnreadableError
from recaption.client import entries
from recaption.client.entries import Line, create_locked, encoded, framed, intact, lines, write_all


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: str, new: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = open_files()
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        with pytest.raises(StorageError, match="no space left"):
            create_locked(str(tmp_path / "one.replies"))
    assert (list(tmp_path.iterdir()), open_files()) == ([], before)
    handle = create_locked(str(tmp_path / "one.replies"))
    assert entries.is_locked(str(tmp_path / "one.replies"))
    os.close(handle)
    assert not entries.is_locked(str(tmp_path / "one.replies"))


def test_a_line_that_is_written_in_part_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full after three bytes of the second line."""
    path, write, left = tmp_path / "one.replies", os.write, [13]

    def bounded(handle: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(handle, data[: min(left[0], 4)])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", bounded)
    handle = create_locked(str(path))
    write_all(handle, b"the first\n")
    with pytest.raises(OSError, match="No space"):
        write_all(handle, b"the second\n")
    left[0] = 100
    write_all(handle, b"the third\n")
    os.close(handle)
    assert path.read_bytes() == b"the first\nthe third\n"


def test_a_line_is_intact_with_both_line_ends_only_as_a_whole() -> None:
    line = framed(b'{"hits":1}')
    assert intact(line) == intact(line[:-1] + b"\r\n") == b'{"hits":1}'
    parts = [line[:n] for n in range(len(line))]
    flipped = [line[:n] + bytes([line[n] ^ 1]) + line[n + 1 :] for n in range(len(line))]
    assert {intact(one) for one in (*parts, *flipped, line[1:], b"\n", b"\r\n")} == {None}


def test_places_of_lines_are_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "one.replies"
    both = [encoded({"key": "0" * 32, "body": "é" * n}) for n in range(3)]
    path.write_bytes(b"damaged\n" + b"".join(both) + b"cut")
    found = list(lines(str(path)))
    data = path.read_bytes()
    assert [data[one.start : one.start + one.size] for one in found] == [
        b"damaged\n", *both, b"cut"
    ]  # fmt: skip
    assert [one.key for one in found] == [None, *[bytes(16)] * 3, None]


def test_a_line_without_a_reply_has_no_key() -> None:
    key = "4be1" * 8
    made = [
        encoded({"v": 1, "key": key, "body": "{}"}),
        encoded({"body": "{}", "key": key}),
        encoded({"v": 1, "key": key, "about": 1}),
        encoded({"v": 1, "at": 1.5, "hits": 3}),
    ]
    found = [Line(0, len(one), intact(one)) for one in made]
    assert [one.key for one in found] == [bytes.fromhex(key)] * 2 + [None] * 2
    assert [one.entry is None for one in found] == [False, False, True, False]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.replies").mkdir()
    for name in ("one.replies", "none.replies"):
        with pytest.raises((UnreadableError, StorageError), match=name):
            list(lines(str(tmp_path / name)))
