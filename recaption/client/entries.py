"""Reads and writes the files of a journal.

Each line is an entry: the number of bytes of its JSON and their XXH3 digest, both in hexadecimal,
then the JSON.

    000001c2 9f8ad0c2f1e3b765 {"v":1,"key":"4be1...","at":1767225600.5,"status":200,"body":"..."}

So a line that is incomplete because its process was killed, or that was damaged later, is detected,
and all other lines are used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
import xxhash

from manifests import storage

SUFFIX = ".replies"
_HEAD = 8 + 1 + 16 + 1
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""Errors of a file system without locks."""
_KEY = re.compile("[0-9a-f]{32}")
_TEXTS = ("model", "prompt", "run", "step", "currency")
_AMOUNTS = ("input_tokens", "output_tokens", "money")
_NUMBERS = ("seconds", *_AMOUNTS, *(f"saved_{name}" for name in _AMOUNTS))
_OURS = re.compile(rb'\{"v":1,"key":"([0-9a-f]{32})",')
"""Matches the start of the JSON that `Journal.add` writes for a reply."""


class Line(NamedTuple):
    """A line of a journal file: the position of its first byte, its number of bytes, and its JSON.
    `data` is None if the line is damaged."""

    start: int
    size: int
    data: bytes | None

    @property
    def entry(self) -> dict[str, Any] | None:
        """The fields of the entry; None if the line is damaged, or is not an entry of a journal."""
        return None if self.data is None else parsed(self.data)

    @property
    def key(self) -> bytes | None:
        """The key of the reply in this line; None if the line has no reply."""
        if self.data is None:
            return None
        if (ours := _OURS.match(self.data)) and b',"body":"' in self.data:  # no JSON is to be read
            return bytes.fromhex(ours[1].decode())
        entry = parsed(self.data) or {}
        return bytes.fromhex(entry["key"]) if "key" in entry else None


def parsed(data: bytes) -> dict[str, Any] | None:
    """Returns the fields of an entry from its JSON; None if it is not an entry of a journal."""
    try:
        entry = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and _is_entry(entry) else None


def _is_entry(found: dict[str, Any]) -> bool:
    """Returns whether a JSON object is an entry of a journal: an entry with a reply, or an entry
    with counts. Only the types of the fields that are used are checked. An entry that states a
    currency must state an amount in it."""
    if "key" in found:
        is_whole = type(found.get("body")) is str and _KEY.fullmatch(str(found["key"])) is not None
        amount = found.get("money")
    else:
        is_whole, amount = type(found.get("hits")) is int, found.get("saved_money")
    numbers = (found.get(name) for name in _NUMBERS)
    return (
        is_whole
        and all(type(found.get(name, "")) is str for name in _TEXTS)
        and all(n is None or type(n) in (int, float) for n in numbers)
        and ("currency" not in found or amount is not None)
    )


def encoded(entry: dict[str, Any]) -> bytes:
    return framed(orjson.dumps(entry))


def framed(data: bytes) -> bytes:
    """Returns the line for an entry from its JSON."""
    return _head(data) + data + b"\n"


def intact(line: bytes) -> bytes | None:
    """Returns the JSON of a line; None if the line is damaged. The line may end as in Windows."""
    data = line[_HEAD : -2 if line.endswith(b"\r\n") else -1]
    return data if line.endswith(b"\n") and _head(data) == line[:_HEAD] else None


def _head(data: bytes) -> bytes:
    return b"%08x %016x " % (len(data), xxhash.xxh3_64_intdigest(data))


def lines(uri: str) -> Iterator[Line]:
    """Yields the lines of a journal file."""
    with (
        storage.storage_errors(uri),
        storage.open_file(uri) as native,
        io.BufferedReader(native, 1 << 20) as file,
    ):
        start = 0
        for line in file:
            yield Line(start, len(line), intact(line))
            start += len(line)


def files(folder: str) -> list[str]:
    """Returns the URIs of the files of a journal, in the order in which the files were created."""
    return [storage.join(folder, n) for n in storage.names(folder) if n.endswith(SUFFIX)]


def damage(folder: str) -> list[str]:
    """Returns a message about each line of a journal that cannot be used."""
    return [
        damaged(uri, line.start, line.size)
        for uri in files(folder)
        for line in lines(uri)
        if line.entry is None
    ]


def damaged(name: str, start: int, size: int) -> str:
    """Returns a message about a line of the file `name` that cannot be used."""
    return f"{name}: the line at byte {start} ({size} bytes) is damaged; all others are used."


def create_locked(path: str) -> int:
    """Creates a file that only this process may write, and returns its descriptor, open for
    appending. The file is locked before it appears under its name, and until the process ends. On a
    file system without locks, it is not locked."""
    folder, name = os.path.split(path)
    hidden = os.path.join(folder, f".{name}{storage.TEMPORARY}")
    with storage.storage_errors(path), contextlib.ExitStack() as undone:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(hidden, flags, 0o644)
        undone.callback(os.close, handle)
        with contextlib.suppress(OSError):
            try_lock(handle, fcntl.LOCK_EX)
        undone.callback(storage.delete, hidden)
        os.rename(hidden, path)
        sync_folder(folder)
        undone.pop_all()
    return handle


def is_locked(path: str) -> bool:
    """Returns whether a running process writes the file. On a file system without locks, this is
    not known, and the result is false."""
    with storage.storage_errors(path), open(path, "rb") as file:
        return not try_lock(file.fileno(), fcntl.LOCK_SH)


def try_lock(handle: int, kind: int) -> bool:
    """Locks an open file, if its file system has locks. Returns false if another process has locked
    it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def write_all(handle: int, data: bytes) -> None:
    """Appends all bytes to a file. If that fails, it removes those already written, and raises the
    error."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(handle, rest) :]
    except OSError:  # the next line must not follow a part of this one
        os.ftruncate(handle, os.fstat(handle).st_size - (len(data) - len(rest)))
        raise


def sync_folder(folder: str) -> None:
    """Writes the file names in a local folder to the disk, so that new files survive a crash of the
    machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
