"""Computes the splits of a source, and saves them so that later runs need not scan the files
again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from curate import catalog
from curate.engine.media_options import MediaOptions
from curate.ingest import sniff
from curate.ingest.reader import Context, Reader, Split, recipe_uri
from manifests import storage
from manifests.errors import FileError, InputError
from manifests.media.blobs import BlobFile
from manifests.run import manifest
from manifests.run.fingerprint import fingerprint
from manifests.step import Executor
from manifests.storage import File

SPLITS = "splits.json"
_SNIFFED_FILES = 3
"""The number of files whose content is checked before reading. A few are enough, because a wrong
reader fails on every file (our choice)."""


def of_source(reader: Reader, media: MediaOptions, folder: str, executor: Executor) -> list[Split]:
    """Return the splits of a source, in the order of its files.

    `folder` holds the splits of the last run. Only new and changed files are split again. An entry
    that is not a readable file is a split of its own, at the end.
    """
    files = _list_files(reader, media.base)
    groups = reader.groups([file for file in files if file.size >= 0])
    known = _load(folder)
    missing = [group for group in groups if _key(group) not in known]
    if missing:
        _check_content(reader, missing, media.base)
        found = dict(executor.map(_Cut(reader, media), [tuple(group) for group in missing]))
        known |= {_key(group): splits for group, splits in found.items()}
        known = {_key(group): known[_key(group)] for group in groups}
        _save(folder, known)
    readable = [split for group in groups for split in known[_key(group)]]
    return readable + [Split((file,)) for file in files if file.size < 0]


def _list_files(reader: Reader, base: str) -> list[File]:
    """List the files of the source.

    If no file has a suffix that the reader accepts, the content of the files is checked, so that
    the error can name the right reader.
    """
    try:
        return reader.list_files(base)
    except InputError:
        where = storage.resolve(base, reader.path)
        others = storage.list_files(where)
        named = [f._replace(uri=recipe_uri(reader.path, where, f.uri)) for f in others]
        _check_content(reader, [[file] for file in named], base)
        raise


def _check_content(reader: Reader, groups: list[list[File]], base: str) -> None:
    """Raise InputError if none of the first files has content that the reader accepts.

    A reader that is not in the catalog is not checked.
    """
    name = next((n for n, kind in catalog.readers().items() if kind is type(reader)), None)
    if name is None:
        return
    refused: list[InputError] = []
    first = [file for file in (group[0] for group in groups) if file.size][:_SNIFFED_FILES]
    for file in first:
        try:
            sniff.check(name, type(reader), file, base, catalog.readers())
        except InputError as error:
            refused.append(error)
    if refused and len(refused) == len(first):
        raise refused[0]


@dataclass(frozen=True)
class _Cut:
    """Cuts a file into splits on a worker, because the file may have to be scanned. A group of
    several files is a single split."""

    reader: Reader
    media: MediaOptions

    def __call__(self, group: tuple[File, ...]) -> list[Split]:
        if len(group) > 1:
            return [Split(group)]
        media = self.media.open()
        try:
            context = Context(self.media.base, media, BlobFile())
            return list(self.reader.splits(group[0], context))
        except FileError:
            return [Split(group)]  # reading it will raise the same error, and quarantine the file
        finally:
            media.close()


def _key(group: list[File] | tuple[File, ...]) -> str:
    return fingerprint([list(file) for file in group])


def _load(folder: str) -> dict[str, list[Split]]:
    uri = storage.join(folder, SPLITS)
    if storage.size_and_stamp(uri) is None:
        return {}
    data = storage.read_bytes(uri)
    if not manifest.is_intact(data):
        return {}
    known = json.loads(data)["splits"]
    return {key: [_split(content) for content in splits] for key, splits in known.items()}


def _split(content: list[Any]) -> Split:
    return Split(tuple(File(*file) for file in content[0]), *content[1:])


def _save(folder: str, known: dict[str, list[Split]]) -> None:
    content = manifest.with_checksum({"splits": known})
    storage.write_bytes(storage.join(folder, SPLITS), content)
