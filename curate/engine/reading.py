"""The first pass: list a source, cut it into splits, and know which of them are read already."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from curate import catalog
from curate.engine.passes import ReadTask, Setting
from curate.ingest import sniff
from curate.ingest.reader import Context, KeptBytes, Reader, Split, recipe_uri
from manifests import storage
from manifests.errors import FileError, InputError
from manifests.media import Media
from manifests.run.fingerprint import fingerprint
from manifests.step import Executor
from manifests.storage import File

SPLITS = "splits.json"
_SNIFFED_FILES = 3
"""Files of a source looked at before any is read (ours: a wrong reader is wrong from the first)."""


def tasks(reader: Reader, setting: Setting, folder: str, executor: Executor) -> list[ReadTask]:
    """The read tasks of a source, in the order of its files."""
    groups = reader.grouped(_listed(reader, setting))
    known = _load(folder)
    missing = [g for g in groups if _key(g) not in known]
    if missing:
        _sniff(reader, missing, setting)
        found = dict(executor.map(_Cut(reader, setting), [tuple(g) for g in missing]))
        known |= {_key(group): splits for group, splits in found.items()}
        known = {_key(g): known[_key(g)] for g in groups}
        _save(folder, known)
    return [_task(reader, split) for group in groups for split in known[_key(group)]]


def _listed(reader: Reader, setting: Setting) -> list[File]:
    """The files of the source. Where none has an ending the reader takes: what they are."""
    try:
        return reader.list_files(setting.base)
    except InputError:
        where = storage.resolve(setting.base, reader.path)
        others = storage.list_files(where)
        uris = [recipe_uri(reader.path, where, file.uri) for file in others]
        _sniff(reader, [[f._replace(uri=u)] for f, u in zip(others, uris, strict=True)], setting)
        raise


def _sniff(reader: Reader, groups: list[list[File]], setting: Setting) -> None:
    """Refuse the reader where none of the first files looks like what it takes."""
    name = next((n for n, k in catalog.readers().items() if k is type(reader)), None)
    if name is None:
        return
    refused: list[InputError] = []
    looked_at = [file for file in (group[0] for group in groups) if file.size][:_SNIFFED_FILES]
    for file in looked_at:
        try:
            sniff.check(name, type(reader), file, setting.base, catalog.readers())
        except InputError as error:
            refused.append(error)
    if refused and len(refused) == len(looked_at):
        raise refused[0]


@dataclass(frozen=True)
class _Cut:
    """Cuts a file, or takes a group of files whole; on a worker, since big files take a scan."""

    reader: Reader
    setting: Setting

    def __call__(self, group: tuple[File, ...]) -> list[Split]:
        if len(group) > 1:
            return [Split(group)]
        media = Media(self.setting.base, self.setting.kept, self.setting.limits)
        try:
            context = Context(self.setting.base, media, KeptBytes("", None))
            return list(self.reader.splits(group[0], context))
        except FileError:
            return [Split(group)]  # reading it says what is wrong, and quarantines it
        finally:
            media.close()


def _task(reader: Reader, split: Split) -> ReadTask:
    names = [file.name for file in split.files]
    part = fingerprint([reader.name, names, split.start, split.stop])
    token = fingerprint([[f.name, f.size, f.stamp] for f in split.files] + [[*split[1:]]])
    return ReadTask(f"part-{part}", token, split)


def _key(group: list[File] | tuple[File, ...]) -> str:
    return fingerprint([list(file) for file in group])


def _load(folder: str) -> dict[str, list[Split]]:
    uri = storage.join(folder, SPLITS)
    if storage.size_and_stamp(uri) is None:
        return {}
    return {key: [_split(s) for s in v] for key, v in json.loads(storage.read_bytes(uri)).items()}


def _split(content: list[Any]) -> Split:
    return Split(tuple(File(*file) for file in content[0]), *content[1:])


def _save(folder: str, known: dict[str, list[Split]]) -> None:
    storage.write_bytes(storage.join(folder, SPLITS), json.dumps(known).encode())
