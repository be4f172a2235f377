"""List the files of a path, a folder or a glob."""

from __future__ import annotations

import glob
import os
import re
from typing import NamedTuple

import pyarrow.fs as pafs

from manifests.storage.paths import filesystem, is_remote


class File(NamedTuple):
    """A listed file.

    `uri` is the full path or URL of the file. `name` is relative to the listed folder; the ids of
    records are made from it. `size` is in bytes; `stamp` is the modification time in nanoseconds.
    """

    uri: str
    name: str
    size: int
    stamp: int


def list_files(pattern: str) -> list[File]:
    """Returns the files of a path, of a folder and its subfolders, or of a glob; sorted by name.

    Hidden files are left out; this includes our temporary files. Names are relative to the folder
    before the first wildcard, so they do not change when the data is moved:
    `list_files("data/*/a.tar")` gives the file `data/web/a.tar` the name `web/a.tar`.
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
        found = set(glob.glob(pattern, recursive=True))  # `**/**` lists a file more than once
        paths = [path for path in found if os.path.isfile(path)]
    return [_local_file(root, path) for path in paths]


def _local_file(root: str, path: str) -> File:
    stat = os.stat(path)
    name = os.path.relpath(path, root or ".").replace(os.sep, "/")
    return File(path, name, stat.st_size, stat.st_mtime_ns)


def _list_remote(pattern: str) -> list[File]:
    system, path = filesystem(pattern)
    prefix, query = _scheme_and_query(pattern, path)
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


def _scheme_and_query(uri: str, path: str) -> tuple[str, str]:
    """Returns the scheme and the query of a URL:
    `s3://bucket/x?region=r -> ("s3://", "?region=r")`"""
    before, _, query = uri.partition("?") if "?" in uri.split("://", 1)[1] else (uri, "", "")
    return before[: before.index("://") + 3], f"?{query}" if query else ""


def _root(pattern: str) -> str:
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return fixed.rsplit("/", 1)[0] if "/" in fixed else ""


def glob_pattern(pattern: str) -> str:
    """Returns a regular expression that matches what a glob matches: `*` matches within one folder,
    `**` across folders."""
    out = ""
    for token in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        out += special.get(token) or (token if token.startswith("[") else re.escape(token))
    return out
