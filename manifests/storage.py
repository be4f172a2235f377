"""One door to local disk, S3 and GCS: read, list, and write whole files or nothing."""

from __future__ import annotations

import contextlib
import errno
import functools
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs
import xxhash

from manifests.errors import StorageError

TEMPORARY = ".tmp"


class File(NamedTuple):
    """A file as listed: `uri` opens it, `name` is its identity below the place it was listed in.

    `size` is in bytes; `stamp` is the modification time in nanoseconds.
    """

    uri: str
    name: str
    size: int
    stamp: int


class Sink:
    """A file being written: counts and digests (XXH3, 128 bit) what goes through it."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._hash = xxhash.xxh3_128()
        self.size_bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._hash.update(data)
        size = memoryview(data).nbytes
        self._handle.write(data)
        self.size_bytes += size
        return size

    def flush(self) -> None:
        self._handle.flush()

    @property
    def digest(self) -> str:
        return f"xxh128:{self._hash.hexdigest()}"


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://")


def at(base: str, uri: str) -> str:
    """Where a uri of a recipe lies: relative ones lie below `base`."""
    if uri.startswith("file://"):
        return uri.removeprefix("file://")
    return uri if is_remote(uri) or os.path.isabs(uri) else join(base, uri)


def join(base: str, *names: str) -> str:
    if is_remote(base) and "?" in base:
        path, query = base.split("?", 1)
        return f"{join(path, *names)}?{query}"
    return "/".join([base.rstrip("/") or "/", *names]) if base else "/".join(names)


def base_name(uri: str) -> str:
    """The last name of a path or URL."""
    return (uri.partition("?")[0] if is_remote(uri) else uri).rstrip("/").rsplit("/", 1)[-1]


@functools.lru_cache(maxsize=64)
def _remote(scheme_and_host: str, query: str) -> pafs.FileSystem:
    uri = scheme_and_host + (f"?{query}" if query else "")
    return pafs.FileSystem.from_uri(uri)[0]


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """The pyarrow file system of a uri, and the path in it."""
    if not is_remote(uri):
        return pafs.LocalFileSystem(), uri
    scheme, rest = uri.split("://", 1)
    path, _, query = rest.partition("?")
    bucket = path.split("/", 1)[0]
    try:
        return _remote(f"{scheme}://{bucket}", query), path.rstrip("/")
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(str(error), uri, "Use a local path, s3:// or gs://.") from error


def open_input(uri: str) -> pa.NativeFile:
    """Random access to a file: memory-mapped where it is local."""
    with storage_errors(uri):
        if not is_remote(uri):
            return pa.memory_map(uri) if os.path.getsize(uri) else pa.BufferReader(b"")
        system, path = filesystem(uri)
        return system.open_input_file(path)


def open_stream(uri: str) -> pa.NativeFile:
    """A file from its start, decompressed where its name ends in .gz, .zst, .bz2 or .lz4."""
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
    """Bytes and modification time (ns) of a file; None where there is no file."""
    if not is_remote(uri):
        try:
            stat = os.stat(uri)
        except OSError:
            return None
        return stat.st_size, stat.st_mtime_ns
    system, path = filesystem(uri)
    info = system.get_file_info(path)
    return (info.size, info.mtime_ns or 0) if info.type == pafs.FileType.File else None


def exists(uri: str) -> bool:
    if not is_remote(uri):
        return os.path.exists(uri)
    system, path = filesystem(uri)
    return bool(system.get_file_info(path).type != pafs.FileType.NotFound)


def list_files(pattern: str) -> list[File]:
    """The files a path, a folder or a glob stands for, by name; folders are walked whole.

    Hidden files and our own unfinished ones are left out. Names are relative to the last folder
    before the first wildcard, so they stay the same when the data moves.
    """
    found = _list_remote(pattern) if is_remote(pattern) else _list_local(pattern)
    kept = [f for f in found if not any(p.startswith(".") for p in f.name.split("/"))]
    return sorted(kept, key=lambda f: f.name)


def _list_local(pattern: str) -> list[File]:
    if os.path.isfile(pattern):
        root, paths = os.path.dirname(pattern), [pattern]
    elif os.path.isdir(pattern):
        root = pattern
        paths = [os.path.join(d, n) for d, _, names in os.walk(pattern) for n in names]
    else:
        root = _root(pattern)
        found = set(glob.glob(pattern, recursive=True))  # `**/**` finds a file more than once
        paths = [path for path in found if os.path.isfile(path)]
    return [_local_file(root, path) for path in paths]


def _local_file(root: str, path: str) -> File:
    stat = os.stat(path)
    name = os.path.relpath(path, root or ".").replace(os.sep, "/")
    return File(path, name, stat.st_size, stat.st_mtime_ns)


def _list_remote(pattern: str) -> list[File]:
    system, path = filesystem(pattern)
    prefix, query = _around(pattern, path)
    info = system.get_file_info(path)
    if info.type == pafs.FileType.File:
        infos, root = [info], path.rsplit("/", 1)[0]
    else:
        root = _root(path) if re.search(r"[*?\[]", path) else path
        selector = pafs.FileSelector(root, recursive=True, allow_not_found=True)
        infos = [i for i in system.get_file_info(selector) if i.type == pafs.FileType.File]
        if root != path:
            matcher = re.compile(glob_pattern(path))
            infos = [i for i in infos if matcher.fullmatch(i.path)]
    return [
        File(prefix + i.path + query, i.path[len(root) + 1 :], i.size, i.mtime_ns or 0)
        for i in infos
    ]


def _around(uri: str, path: str) -> tuple[str, str]:
    before, _, query = uri.partition("?") if "?" in uri.split("://", 1)[1] else (uri, "", "")
    return before[: before.index("://") + 3], f"?{query}" if query else ""


def _root(pattern: str) -> str:
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return fixed.rsplit("/", 1)[0] if "/" in fixed else ""


def glob_pattern(pattern: str) -> str:
    """The regular expression of a shell pattern in which `*` stays in its folder, `**` does not."""
    out = ""
    for token in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        out += special.get(token) or (token if token.startswith("[") else re.escape(token))
    return out


def make_folder(uri: str) -> None:
    with storage_errors(uri):
        if not is_remote(uri):
            os.makedirs(uri, exist_ok=True)


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
    """Remove a folder and all in it, if it is there."""
    with storage_errors(uri):
        if not is_remote(uri):
            shutil.rmtree(uri, ignore_errors=True)
            return
        system, path = filesystem(uri)
        with contextlib.suppress(FileNotFoundError):
            system.delete_dir(path)


def clear_unfinished(folder: str) -> None:
    """Remove what killed writers left in a local folder; remote ones leave nothing behind."""
    if is_remote(folder) or not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        if name.startswith(".") and name.endswith(TEMPORARY):
            delete(os.path.join(folder, name))


@contextlib.contextmanager
def writing(uri: str, durable: bool = True) -> Iterator[Sink]:
    """Write a file that appears whole at `uri` when the block ends, or not at all.

    A `durable` one is on the disk then; others the system may lose with the machine, so whoever
    finds one again looks at its digest.
    """
    with storage_errors(uri):
        folder, name = (tempfile.gettempdir(), "remote") if is_remote(uri) else os.path.split(uri)
        handle, temporary = tempfile.mkstemp(TEMPORARY, f".{name}.", folder or ".")
        try:
            with os.fdopen(handle, "wb", buffering=1 << 20) as raw:
                yield Sink(raw)
                raw.flush()
                if durable and not is_remote(uri):
                    os.fsync(raw.fileno())
            _publish(temporary, uri)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)


def _publish(temporary: str, uri: str) -> None:
    if not is_remote(uri):
        os.chmod(temporary, 0o644)
        os.replace(temporary, uri)
        return
    system, path = filesystem(uri)
    pafs.copy_files(temporary, path, pafs.LocalFileSystem(), system, use_threads=False)


def write_bytes(uri: str, data: bytes, durable: bool = True) -> None:
    with writing(uri, durable) as sink:
        sink.write(data)


@contextlib.contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn what the system says into an error that names the file and a mend."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise StorageError("there is no such file", uri) from error
        if error.errno == errno.ENOSPC:
            raise StorageError(
                "no space left on the device",
                uri,
                "Free some and run the same command again: it goes on where it stopped.",
            ) from error
        raise StorageError(str(error), uri) from error
