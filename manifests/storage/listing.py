"""List the files of a path, a folder or a glob."""

from __future__ import annotations

import errno
import functools
import glob
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow.fs as pafs

from manifests.storage.files import list_objects, object_path, storage_errors
from manifests.storage.paths import filesystem, is_remote


class File(NamedTuple):
    """A file that was found, or another entry of a folder that cannot be read as a file.

    `uri` is the full path or URL. `name` is relative to the listed folder; the ids of records are
    made from it. `size` is in bytes. A negative `size` is not a size but a code: the entry cannot
    be read as a file, and FAULTS has the reason for each code. `stamp` is the modification time in
    nanoseconds.
    """

    uri: str
    name: str
    size: int
    stamp: int


MISSING, NOT_REGULAR, UNREADABLE, NOT_UTF8, LOOP, DENIED, NO_PATH = -1, -2, -3, -4, -5, -6, -7
FAULTS = {
    MISSING: "the link points to nothing. Restore its target, or delete the link.",
    NOT_REGULAR: "the path leads to a FIFO, socket or device, not to a regular file. Delete it, or "
    "move it away.",
    UNREADABLE: "the folder cannot be listed (permission denied). Allow reading it: chmod u+rx.",
    NOT_UTF8: "the name is not UTF-8. Rename the file or folder.",
    DENIED: "the file cannot be read (permission denied). Allow reading it: chmod u+r, and chmod "
    "u+x for its folder.",
    NO_PATH: "its name is no path: it has a ?, a part that is empty, `.` or `..`, or ends in /. "
    "Rename it.",
    LOOP: "the link leads back to itself, or to a folder that is already read. Delete the link.",
}
"""Why an entry cannot be read as a file, by the negative number that the entry has in place of its
size."""
_PASS = re.compile(r"\d\d-.+-[0-9a-f]{8,}")


def list_files(pattern: str) -> list[File]:
    """Returns the files of a path, of a folder and its subfolders, or of a glob; sorted by name.

    Hidden files are left out; this includes our temporary files. The folders of runs below the
    listed folder are left out too, because a run must not read what a run wrote. A link to a folder
    is followed, unless the folder is already listed. Names are relative to the folder before the
    first wildcard, so they do not change when the data is moved: `list_files("data/*/a.tar")` gives
    the file `data/web/a.tar` the name `web/a.tar`.
    """
    return [f for f in list_entries(pattern) if f.size >= 0 and not is_hidden(f.name)]


def list_entries(pattern: str) -> list[File]:
    """Returns the files that `list_files` returns, and also hidden files and the entries that
    cannot be read as files: a dangling link, a FIFO, an unreadable folder. The `size` of such an
    entry is not a size but a negative code; FAULTS has the reason for each code."""
    found = _list_remote(pattern) if is_remote(pattern) else _list_local(pattern)
    return sorted(found, key=lambda f: f.name)


def is_hidden(name: str) -> bool:
    """Returns whether a file is hidden, which means that its name, or the name of a folder in its
    path, starts with a dot: `a/.b/c`."""
    return name.startswith(".") or "/." in name


def _list_local(pattern: str) -> list[File]:
    if os.path.isfile(pattern):
        return [_local_file(os.path.dirname(pattern), pattern)]
    if os.path.isdir(pattern):
        return list(_walk(pattern))
    root = _root(pattern)
    found = set(glob.glob(pattern, recursive=True))  # `**/**` lists a file more than once
    paths = [path for path in found if not os.path.isdir(path) and not _in_a_run(root, path)]
    return [_local_file(root, path) for path in paths]


def _walk(root: str) -> Iterator[File]:
    """Yields the entries of a folder and its subfolders. Links to folders are followed last, so
    that a folder that can be reached both directly and by a link is listed with its direct path."""
    seen: set[tuple[int, int]] = set()
    folders, linked = [root], list[str]()
    while folders or linked:
        is_link = not folders
        folder = (linked if is_link else folders).pop()
        try:
            found = os.stat(folder)
            if (found.st_dev, found.st_ino) in seen:
                yield _entry(root, folder, LOOP)
                continue
            seen.add((found.st_dev, found.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError:
            yield _entry(root, folder, UNREADABLE)
            continue
        for entry in entries:
            if not os.path.isdir(entry.path):
                yield _local_file(root, entry.path)
            elif not _is_run(entry.path):
                (linked if entry.is_symlink() else folders).append(entry.path)


@functools.lru_cache(maxsize=4096)
def _in_a_run(root: str, path: str) -> bool:
    folder = os.path.dirname(path)
    if len(folder) <= len(root):
        return False
    return _is_run(folder) or _in_a_run(root, folder)


def _is_run(folder: str) -> bool:
    """Returns whether a folder is the output folder of a run: it has a subfolder `steps`, in which
    the passes of the run have their folders."""
    try:
        return any(_PASS.fullmatch(name) for name in os.listdir(os.path.join(folder, "steps")))
    except OSError:
        return False


def _local_file(root: str, path: str) -> File:
    try:
        found = os.stat(path)
    except OSError as error:
        codes = {errno.ELOOP: LOOP, errno.EACCES: DENIED}
        return _entry(root, path, codes.get(error.errno or 0, MISSING))
    if not stat.S_ISREG(found.st_mode):
        return _entry(root, path, NOT_REGULAR)
    if not os.access(path, os.R_OK):
        return _entry(root, path, DENIED)
    return _entry(root, path, found.st_size, found.st_mtime_ns)


def _entry(root: str, path: str, size: int, stamp: int = 0) -> File:
    name = os.path.relpath(path, root or ".").replace(os.sep, "/")
    if not _is_text(name):
        return File(_escaped(path), _escaped(name), NOT_UTF8, 0)
    return File(path, name, size, stamp)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _list_remote(pattern: str) -> list[File]:
    with storage_errors(pattern):
        system, path = filesystem(pattern)
        root, infos = _infos(system, path)
    prefix, query = _scheme_and_query(pattern, path)
    entries = (_remote_file(root, info) for info in infos)
    return [entry._replace(uri=prefix + entry.uri + query) for entry in entries]


def _remote_file(root: str, info: pafs.FileInfo) -> File:
    """Returns the entry of an object. The entry states that the object cannot be read if the
    object's name is not UTF-8, cannot be part of a URL (`a?b`), or has another meaning as a path
    (`a//b`, `a/../b`)."""
    path = object_path(info)
    name = path[len(root) + 1 :]
    if not _is_text(name):
        return File(_escaped(path), _escaped(name), NOT_UTF8, 0)
    if "?" in name or {"", ".", ".."} & {*name.split("/")}:
        return File(path, name, NO_PATH, 0)
    return File(path, name, info.size, info.mtime_ns or 0)


def _infos(system: pafs.FileSystem, path: str) -> tuple[str, list[pafs.FileInfo]]:
    """Finds the files on object storage at `path`, which is a file, a folder or a glob. Returns the
    folder to which the names of the files are relative, and the files."""
    info = system.get_file_info(path)
    if info.type == pafs.FileType.File:
        return path.rsplit("/", 1)[0], [info]
    is_glob = info.type != pafs.FileType.Directory and re.search(r"[*?\[]", path)
    root = _root(path) if is_glob else path
    listed = list_objects(system, root, recursive=True)
    found = {object_path(i): i for i in listed if i.type == pafs.FileType.File}
    infos = [*found.values()]  # pages of a list may overlap if objects are added meanwhile
    if root != path:
        matcher = re.compile(glob_pattern(path))
        infos = [i for i in infos if matcher.fullmatch(object_path(i))]
    return root, infos


def _scheme_and_query(uri: str, path: str) -> tuple[str, str]:
    """Returns the scheme and the query of a URL:
    `s3://bucket/x?region=r -> ("s3://", "?region=r")`"""
    before, _, query = uri.partition("?") if "?" in uri.split("://", 1)[1] else (uri, "", "")
    return before[: before.index("://") + 3], f"?{query}" if query else ""


def _root(pattern: str) -> str:
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return fixed.rsplit("/", 1)[0] if "/" in fixed else ""


def glob_pattern(pattern: str) -> str:
    """Returns a regular expression that matches the same paths as a glob: `*` matches within one
    folder, `**` across folders."""
    out = ""
    for token in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        out += special.get(token) or (_one_of(token) if token[:1] == "[" else re.escape(token))
    return out


def _one_of(token: str) -> str:
    """Converts the part of a glob that stands for one of several characters to a regular
    expression: `[!a-c]` -> `[^a-c]`. Brackets without characters stand for themselves."""
    inner = re.sub(r"([\\\[&~|])", r"\\\1", token[1:-1])
    if not inner.strip("!^"):
        return re.escape(token)
    return f"[^{inner[1:]}]" if inner[0] == "!" else f"[{inner}]"
