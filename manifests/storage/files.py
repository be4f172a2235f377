"""Read files, and write them completely or not at all, on local disk, S3 and GCS."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import xxhash

from manifests.errors import StorageError, UnreadableError
from manifests.storage.file_entry import FileEntry
from manifests.storage.paths import UNREACHABLE_FIX, filesystem, is_remote, split_query

TEMPORARY = ".tmp"
LIST_SECONDS = 900.0
"""The seconds that one list of a folder on object storage may take (our choice): a server needs
some 0.1 seconds for a thousand objects, so this is enough for nine million."""
_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
"""Matches the names of temporary files, which `writing` uses until a file is complete."""
_OF_ONE_FILE = re.compile("AWS Error (ACCESS_DENIED|NO_SUCH_KEY|RESOURCE_NOT_FOUND) ")
"""Matches errors of S3 about one object. Errors of credentials and buckets have other names."""
_UNREADABLE = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EISDIR, errno.ENOTDIR)


class Sink:
    """A file that is being written; it counts the bytes and hashes them (XXH3, 128 bit)."""

    def __init__(self, handle: Any, uri: str) -> None:
        self._handle, self._uri = handle, uri
        self._hash = xxhash.xxh3_128()
        self.size_bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._hash.update(data)
        size = memoryview(data).nbytes
        with storage_errors(self._uri):
            self._handle.write(data)
        self.size_bytes += size
        return size

    def flush(self) -> None:
        with storage_errors(self._uri):
            self._handle.flush()

    @property
    def digest(self) -> str:
        return f"xxh128:{self._hash.hexdigest()}"

    def entry(self, name: str, rows: int = 0) -> FileEntry:
        """Returns what a manifest states about the file, with the name `name`. Call this after the
        `with` block of `writing`."""
        return FileEntry(name=name, rows=rows, size_bytes=self.size_bytes, digest=self.digest)


def open_input(uri: str) -> pa.NativeFile:
    """Open a file for random access. A local file is memory-mapped."""
    with storage_errors(uri):
        if not is_remote(uri):
            return pa.memory_map(uri) if os.path.getsize(uri) else pa.BufferReader(b"")
        system, path = filesystem(uri)
        return system.open_input_file(path)


def open_file(uri: str) -> pa.NativeFile:
    """Opens a file for random access, without mapping it into memory. So if another program
    shortens the file, reading it causes an error and no crash, and the bytes that were read do not
    stay in memory."""
    with storage_errors(uri):
        system, path = filesystem(uri)
        return system.open_input_file(path)


def open_stream(uri: str) -> pa.NativeFile:
    """Opens a file for reading from start to end. The content is decompressed if the name of the
    file ends in .gz, .zst, .bz2 or .lz4."""
    with storage_errors(uri):
        system, path = filesystem(uri)
        return system.open_input_stream(path, buffer_size=1 << 20)


def read_bytes(uri: str) -> bytes:
    with storage_errors(uri):
        if not is_remote(uri):
            with open(uri, "rb") as handle:
                return handle.read()
        system, path = filesystem(uri)
        with system.open_input_file(path) as handle:
            return bytes(handle.read())


def size_and_stamp(uri: str) -> tuple[int, int] | None:
    """Returns the size of a file in bytes and its modification time in nanoseconds; None if the
    file does not exist, or if its local path cannot be opened, for example because a permission is
    missing."""
    if not is_remote(uri):
        try:
            stat = os.stat(uri)
        except (OSError, ValueError):  # ValueError: no file has a name with a null character
            return None
        return stat.st_size, stat.st_mtime_ns
    with storage_errors(uri):
        system, path = filesystem(uri)
        info = system.get_file_info(path)
    return (info.size, info.mtime_ns or 0) if info.type == pafs.FileType.File else None


def exists(uri: str) -> bool:
    if not is_remote(uri):
        return os.path.exists(uri)
    with storage_errors(uri):
        system, path = filesystem(uri)
        return bool(system.get_file_info(path).type != pafs.FileType.NotFound)


def names(folder: str) -> list[str]:
    """Returns the sorted names of all files and folders in a folder, including hidden files and
    folders. The list is empty if there is no such folder."""
    if not is_remote(folder):
        with storage_errors(folder):
            return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    with storage_errors(folder):
        system, path = filesystem(folder)
        return sorted(object_path(info).rpartition("/")[2] for info in list_objects(system, path))


def files_below(folder: str) -> list[str]:
    """Returns the names of all files in a folder and its subfolders, relative to the folder,
    sorted; hidden files too."""
    if not is_remote(folder):
        found = (os.path.join(where, n) for where, _, files in os.walk(folder) for n in files)
        return sorted(os.path.relpath(path, folder).replace(os.sep, "/") for path in found)
    with storage_errors(folder):
        system, path = filesystem(folder)
        listed = list_objects(system, path, recursive=True)
        infos = [i for i in listed if i.type == pafs.FileType.File]
    return sorted(object_path(info)[len(path) + 1 :] for info in infos)


def object_path(info: pafs.FileInfo) -> str:
    """Returns the path of an object. Bytes that are not UTF-8 become surrogates, as in the names of
    local files."""
    try:
        return str(info.path)
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "surrogateescape")


def list_objects(
    system: pafs.FileSystem, path: str, recursive: bool = False
) -> list[pafs.FileInfo]:
    """Returns what is in a folder of object storage; an empty list if there is no such folder.

    Raises StorageError if the list is not complete after LIST_SECONDS: a server may state for ever
    that more objects follow, and pyarrow shows neither the pages of a list nor their tokens.
    """
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=True)
    listed: Future[list[pafs.FileInfo]] = Future()

    def ask() -> None:
        try:
            listed.set_result(system.get_file_info(selector))
        except BaseException as error:  # it is raised in the thread that waits
            listed.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return listed.result(LIST_SECONDS)
    except FutureTimeout:
        raise StorageError(
            f"the list of its objects is not complete after {LIST_SECONDS:g} seconds: the server "
            "states again and again that more follow.",
            path,
            "If the folder has so many objects, name several smaller folders. If not, the server "
            "is faulty.",
        ) from None


def is_inside(folder: str, uri: str) -> bool:
    """Returns whether the file or folder `uri` lies in `folder` or its subfolders, after links to
    folders are followed. A link to a file counts as inside if the link itself is inside. On object
    storage, which has no links, the result is always true."""
    if is_remote(uri):
        return True
    root = os.path.realpath(folder)
    place = uri if os.path.isdir(uri) else os.path.dirname(uri)
    return os.path.commonpath([root, os.path.realpath(place)]) == root


def is_same_folder(one: str, other: str) -> bool:
    """Returns whether two paths or URLs name the same folder. Two paths may name the same folder
    although one is relative or contains a link. Two URLs may, although their queries or a slash at
    the end differ."""
    if is_remote(one) or is_remote(other):
        plain = (split_query(uri)[0].rstrip("/") for uri in (one, other))
        return len({*plain}) == 1
    both = [uri.removeprefix("file://") for uri in (one, other)]
    if all(map(os.path.exists, both)):
        return os.path.samefile(*both)
    return os.path.realpath(both[0]) == os.path.realpath(both[1])


def make_folder(uri: str) -> None:
    with storage_errors(uri):
        if is_remote(uri):
            return
        try:
            os.makedirs(uri, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise StorageError(
                "this cannot be a folder: it is a file or a broken link, or lies below one",
                uri,
                "Choose another folder.",
            ) from None


def delete(uri: str) -> None:
    with storage_errors(uri):
        if not is_remote(uri):
            with contextlib.suppress(FileNotFoundError):
                os.remove(uri)
            return
        system, path = filesystem(uri)
        with contextlib.suppress(FileNotFoundError):
            system.delete_file(path)


def delete_folder(uri: str) -> None:
    """Delete a folder and its content, if it exists. Local files that cannot be deleted stay,
    without an error."""
    with storage_errors(uri):
        if not is_remote(uri):
            shutil.rmtree(uri, ignore_errors=True)
            return
        system, path = filesystem(uri)
        with contextlib.suppress(FileNotFoundError):
            system.delete_dir(path)


def clear_unfinished(folder: str, below: bool = False) -> None:
    """Deletes the temporary files that killed processes have left in a folder. If `below` is true,
    also deletes them in all its subfolders. Only local folders have such files."""
    if is_remote(folder):
        return
    for place, folders, files in os.walk(folder):
        for name in filter(_UNFINISHED.fullmatch, files):
            delete(os.path.join(place, name))
        if not below:
            folders.clear()


@contextlib.contextmanager
def writing(uri: str, durable: bool = True) -> Iterator[Sink]:
    """Write a file in a `with` block. The complete file appears at `uri` if the block ends without
    an error.

    If `durable` is true, the complete file survives a crash of the machine (fsync). If `durable` is
    false, check the digest of the file before you use the file after a restart. An OSError in
    writing this file becomes a StorageError; other errors in the block are not changed.
    """
    with storage_errors(uri):
        raw, temporary = _temporary(uri)
    try:
        yield Sink(raw, uri)
        with storage_errors(uri):
            raw.flush()
            if durable and not is_remote(uri):
                os.fsync(raw.fileno())
            raw.close()
            _publish(temporary, uri)
    finally:
        with contextlib.suppress(OSError):  # the original error was raised before
            raw.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _temporary(uri: str) -> tuple[Any, str]:
    """Opens a new temporary file for `uri`. Returns the open file and its path. Permissions of a
    local file follow the umask of the process."""
    if is_remote(uri):
        handle, path = tempfile.mkstemp(TEMPORARY, ".remote.")
    else:
        folder, name = os.path.split(uri)
        path = os.path.join(folder or ".", f".{name}.{secrets.token_hex(4)}{TEMPORARY}")
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    return os.fdopen(handle, "wb", buffering=1 << 20), path


def _publish(temporary: str, uri: str) -> None:
    if not is_remote(uri):
        os.replace(temporary, uri)
        return
    system, path = filesystem(uri)
    pafs.copy_files(temporary, path, pafs.LocalFileSystem(), system, use_threads=False)


def write_bytes(uri: str, data: bytes, durable: bool = True) -> None:
    with writing(uri, durable) as sink:
        sink.write(data)


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Replaces an OSError in the `with` block by a StorageError that names the file and, if one is
    known, a fix. If only this file cannot be read or does not exist, the new error is an
    UnreadableError."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UnreadableError("there is no such file", uri) from error
        if error.errno == errno.ENOSPC:
            raise StorageError(
                "no space left on the device",
                uri,
                "Free some space and run the same command again: it continues where it stopped.",
            ) from error
        if error.errno in _UNREADABLE or _OF_ONE_FILE.search(str(error)):
            check = "the address, the region, the credentials" if is_remote(uri) else "the disk"
            fix = (
                f"Check {check} and the permissions of this file, then run again; an input in "
                "quarantine needs --retry."
            )
            raise UnreadableError(str(error).rstrip(" :"), uri, fix) from error
        raise StorageError(str(error), uri, UNREACHABLE_FIX if is_remote(uri) else "") from error
