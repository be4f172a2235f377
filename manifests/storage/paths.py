"""Resolves and joins paths and URLs, and finds the pyarrow file system for a path or URL."""

from __future__ import annotations

import functools
import os
import posixpath

import pyarrow as pa
import pyarrow.fs as pafs

from manifests.errors import StorageError
from manifests.storage.reachable import endpoint_fault
from manifests.visible import PASSWORD_FAULT, PASSWORD_FIX, has_password

UNREACHABLE_FIX = (
    "Check the address, the region, the credentials and the network, then run the same command "
    "again: it continues where it stopped."
)


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://")


def resolve(base: str, uri: str) -> str:
    """Returns the full path or URL of a uri in a recipe. A relative uri is joined to `base`.

    `resolve("/data", "web/a.tar") -> "/data/web/a.tar"`; `s3://...` and `/abs` do not change.
    """
    if uri.startswith("file://"):
        return uri.removeprefix("file://")
    return uri if is_remote(uri) or os.path.isabs(uri) else join(base, uri)


def absolute(uri: str) -> str:
    """Returns `uri` as a full path or URL. A relative path starts from the current folder."""
    return uri if is_remote(uri) else os.path.abspath(uri.removeprefix("file://"))


def join(base: str, *names: str) -> str:
    """Appends names to a path or URL. The query of a URL stays at the end.

    `join("s3://data?region=r", "a.tar") -> "s3://data/a.tar?region=r"`
    """
    path, query = split_query(base)
    return ("/".join([path.rstrip("/") or "/", *names]) if path else "/".join(names)) + query


def split_query(uri: str) -> tuple[str, str]:
    """Returns a URL without its query, and the query: `s3://a/b?region=r` -> (`s3://a/b`,
    `?region=r`). The query of a path, or of a URL without a query, is ""."""
    path, mark, query = uri.partition("?") if is_remote(uri) else (uri, "", "")
    return path, mark + query


def base_name(uri: str) -> str:
    """Returns the last component of a path or URL."""
    return split_query(uri)[0].rstrip("/").rsplit("/", 1)[-1]


def folder_of(uri: str) -> str:
    """Returns the folder of a file: `a/b.json` -> `a`, `s3://a/b.json?region=r` ->
    `s3://a?region=r`, `b.json` -> ``."""
    path, query = split_query(uri)
    return posixpath.dirname(path) + query


@functools.lru_cache(maxsize=64)
def _remote(scheme_and_host: str, query: str) -> pafs.FileSystem:
    uri = scheme_and_host + (f"?{query}" if query else "")
    return pafs.FileSystem.from_uri(uri)[0]


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Returns the pyarrow file system of a uri, and the path within it."""
    if not is_remote(uri):
        return pafs.LocalFileSystem(), uri
    if has_password(uri):
        raise StorageError(PASSWORD_FAULT, uri, PASSWORD_FIX)
    scheme, rest = uri.split("://", 1)
    path, _, query = rest.partition("?")
    bucket = path.split("/", 1)[0]
    if fault := endpoint_fault(scheme, bucket, query):
        raise StorageError(fault, uri, UNREACHABLE_FIX)
    try:
        return _remote(f"{scheme}://{bucket}", query), path.rstrip("/")
    except pa.ArrowInvalid as error:
        raise StorageError(str(error), uri, "Use a local path, s3:// or gs://.") from error
    except OSError as error:
        raise StorageError(str(error), uri, UNREACHABLE_FIX) from error
