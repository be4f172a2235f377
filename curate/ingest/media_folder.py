"""Rows of a table joined to media that lie in a folder; nothing is ever fetched."""

from __future__ import annotations

import functools
import hashlib
import os
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from pydantic import AfterValidator

from curate.ingest.columns import Names
from curate.ingest.images import OpenedImage, opened
from curate.ingest.reader import Context
from manifests import storage
from manifests.errors import InputError, MediaError, RowError
from manifests.media import Media, Reference
from manifests.media.header import SUFFIXES

FILES = (
    "{url_path}",
    "{uid}",
    "{key}",
    "{key[0:5]}/{key}",
    "{url_sha256}",
    "{url_md5}",
    "{url_name}",
)
"""Where a row's media are looked for, in this order, unless the recipe says."""


def check_root(media_root: str, base: str) -> None:
    """InputError where the folder of images is not there: the recipe is wrong, not a row."""
    if not storage.exists(storage.resolve(base, media_root)):
        raise InputError("there is no such folder.", media_root, "The setting is 'media_root'.")


def inside(path: str) -> str:
    """A path below media_root in its plainest form. Raises RowError for one that is not below."""
    if not path or "\0" in path or "://" in path or path.startswith("/"):
        raise RowError(f"{path!r:.200} is no path below media_root")
    plain = posixpath.normpath(path)
    if plain in (".", "..") or plain.startswith("../"):
        raise RowError(f"{path!r:.200} leads out of media_root")
    return plain


def opened_below(media_root: str, path: str, media: Media) -> OpenedImage | RowError:
    """The image that a row's path names."""
    try:
        return opened(Reference(storage.join(media_root, inside(path))), media)
    except RowError as error:
        return error


class _Part(NamedTuple):
    """Some fixed text, then the characters [start:stop) of a column's value."""

    before: str
    column: str
    start: int
    stop: int | None


class Template:
    """A file's name made of columns: `{uid}`, or `{key[0:5]}/{key}.jpg`.

    Beside the table's own columns there are `url_sha256` and `url_md5`, the hex digests of the
    url; `url_name`, the last part of its path; and `url_path`, the url where it is a plain path.
    """

    _FIELD = re.compile(r"\{([^{}\[\]]+)(?:\[(\d*):(\d*)\])?\}")

    def __init__(self, text: str) -> None:
        *pieces, self._after = self._FIELD.split(text)
        if not pieces or re.search(r"[{}]", self._FIELD.sub("", text)):
            raise ValueError(f"'{text}' names no column; a file is like '{{key[0:5]}}/{{key}}.jpg'")
        self._parts = [
            _Part(before, column, int(start or 0), int(stop) if stop else None)
            for before, column, start, stop in zip(*[iter(pieces)] * 4, strict=True)
        ]

    @property
    def columns(self) -> set[str]:
        return {part.column for part in self._parts}

    def fill(self, columns: Mapping[str, pa.Array]) -> list[str | None]:
        """One name a row; null where a column is null or empty."""
        pieces: list[Any] = []
        for part in self._parts:
            value = columns[part.column].cast(pa.string())
            value = pc.if_else(pc.equal(value, ""), pa.scalar(None, pa.string()), value)
            pieces += [part.before, pc.utf8_slice_codeunits(value, part.start, part.stop)]
        return list(pc.binary_join_element_wise(*pieces, self._after, "").to_pylist())


def _checked(files: tuple[str, ...]) -> tuple[str, ...]:
    for file in files:
        Template(file)
    return files


Files = Annotated[Names, AfterValidator(_checked)]


def _digests(algorithm: Callable[[bytes], Any], urls: pa.Array) -> pa.Array:
    hexes = [None if u is None else algorithm(u.encode()).hexdigest() for u in urls.to_pylist()]
    return pa.array(hexes, pa.string())


def _last_of_path(urls: pa.Array) -> pa.Array:
    return pc.struct_field(pc.extract_regex(urls, r"^[^?#]*/(?P<name>[^/?#]+)"), "name")


def _plain_paths(urls: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring(urls, "://"), pa.scalar(None, pa.string()), urls)


FROM_URL: dict[str, Callable[[pa.Array], pa.Array]] = {
    "url_path": _plain_paths,
    "url_sha256": functools.partial(_digests, hashlib.sha256),
    "url_md5": functools.partial(_digests, functools.partial(hashlib.md5, usedforsecurity=False)),
    "url_name": _last_of_path,
}
"""Names a template may use where a table has a column of urls."""


class Shelf:
    """The folder that media lie in: each folder in it is listed once, when a row first asks."""

    def __init__(self, media_root: str, base: str) -> None:
        self.media_root, self._place = media_root, storage.resolve(base, media_root)
        check_root(media_root, base)
        self._folders: dict[str, tuple[str, dict[str, str]]] = {}

    def find(self, name: str) -> str | None:
        """The uri of the file of that name, with or without the ending of an image."""
        folder, _, last = (inside(name) if "/" in name else name).rpartition("/")
        if folder not in self._folders:
            below = [folder] if folder else []
            listed = _listed(storage.join(self._place, *below))
            self._folders[folder] = storage.join(self.media_root, *below), listed
        uri, files = self._folders[folder]
        found = files.get(last)
        return None if found is None else storage.join(uri, found)


def _listed(place: str) -> dict[str, str]:
    if storage.is_remote(place):
        system, path = storage.filesystem(place)
        with storage.storage_errors(place):
            selector = pafs.FileSelector(path, allow_not_found=True)
            return _by_stem([info.base_name for info in system.get_file_info(selector)])
    if not os.path.isdir(place):  # a folder that only a row's data speak of
        return {}
    with storage.storage_errors(place):
        return _listed_at(place, os.stat(place).st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _listed_at(place: str, changed_ns: int) -> dict[str, str]:
    """A local folder's listing; its time of change tells when it has to be listed again."""
    return _by_stem(os.listdir(place))


def _by_stem(names: list[str]) -> dict[str, str]:
    """Names by themselves and, for images, without their ending: the first in order wins."""
    stems: dict[str, str] = {}
    for name in sorted(names, reverse=True):
        stem, _, ending = name.rpartition(".")
        if ending.lower() in SUFFIXES:
            stems[stem] = name
    return stems | {name: name for name in names}


def joined(
    files: Sequence[Template],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    shelf: Shelf,
    context: Context,
) -> list[OpenedImage | RowError]:
    """The image of each row, where the first of `files` that is there says it lies."""
    return [
        found if isinstance(found, RowError) else opened(Reference(found), context.media)
        for found in _located(files, columns, urls, shelf)
    ]


def _located(
    files: Sequence[Template],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    shelf: Shelf,
) -> list[str | RowError]:
    rows = len(urls) if urls is not None else len(next(iter(columns.values())))
    found: dict[int, str | RowError] = {}
    tried: dict[int, list[str]] = {row: [] for row in range(rows)}
    for file in files:
        missing = [row for row in tried if row not in found]
        names = file.fill(_values(file.columns, columns, urls, missing))
        for row, name in zip(missing, names, strict=True):
            if name is not None:
                tried[row].append(name)
                if (place := _find(shelf, name)) is not None:
                    found[row] = place
    return [found.get(row) or _no_media(urls, row, tried[row], shelf) for row in range(rows)]


def _values(
    names: set[str],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    rows: list[int],
) -> dict[str, pa.Array]:
    chosen = pa.array(np.asarray(rows, np.int64))
    return {
        name: FROM_URL[name](urls.take(chosen))
        if urls is not None and name in FROM_URL
        else columns[name].take(chosen)
        for name in names
    }


def _find(shelf: Shelf, name: str) -> str | RowError | None:
    try:
        return shelf.find(name)
    except RowError as error:
        return error


def _no_media(urls: pa.Array | None, row: int, tried: list[str], shelf: Shelf) -> MediaError:
    what = "this row" if urls is None else repr(urls[row].as_py())
    return MediaError(
        f"no media for {what:.200}: looked for {', '.join(tried) or 'nothing'} in "
        f"{shelf.media_root}.",
        fix="Nothing is fetched: bring the files there, or set `file` to how they are named.",
    )
