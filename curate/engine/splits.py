"""Divides the files of a source into splits (ranges of a file, or groups of files), and saves the
splits so that later runs need not scan the files again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from curate.engine import source_check, time_limit
from curate.engine.media_options import MediaOptions
from curate.ingest.reader import Context, Reader, Split
from curate.ingest.source_files import notes_on
from manifests import storage
from manifests.errors import FileError, UnreadableError
from manifests.media.blobs import BlobFile
from manifests.run import manifest, saved_splits
from manifests.run.fingerprint import fingerprint
from manifests.step import Executor
from manifests.storage import File


class Saved(NamedTuple):
    """The splits of a source, as a run saves them. `by_group` has the splits of each group of
    files, by `group_key`. `left_aside` has, for each suffix, the number of files that are skipped
    without an error: `{".md": 1}`."""

    by_group: Mapping[str, list[Split]]
    left_aside: Mapping[str, int]

    @property
    def files(self) -> dict[str, File]:
        """The files of all splits by uri. Their sizes and times are those at the time when the
        splits were made."""
        splits = (split for some in self.by_group.values() for split in some)
        return {file.uri: file for split in splits for file in split.files}


def of_source(
    reader: Reader,
    media: MediaOptions,
    folder: str,
    executor: Executor,
    note: Callable[[str], None] = lambda _: None,
    is_checked: bool = False,
) -> list[Split]:
    """Return the splits of a source (ranges of a file, or groups of files), in the order of its
    files.

    `folder` has the saved splits of the last run. Only new and changed files are split again. At
    the end of the list, each file that cannot be read, such as a broken link, is a split of its
    own. `note` prints a note for the user. The content of the first files is checked if none of the
    files was split before, unless `is_checked` is true.
    """
    files = source_check.listed_files(reader, media.base)
    for text in notes_on(reader.name, files):
        note(text)
    groups = reader.groups(files.readable)
    saved = load(folder)
    known = dict(saved.by_group)
    missing = [group for group in groups if group_key(group) not in known]
    if missing:
        if len(missing) == len(groups) and not is_checked:
            source_check.check_content(reader, files.readable, media)
        found = dict(executor.map(Cut(reader, media, folder), [tuple(group) for group in missing]))
        known |= {group_key(group): splits for group, splits in found.items()}
    known = {group_key(group): known[group_key(group)] for group in groups}
    there = storage.exists(storage.join(folder, saved_splits.NAME))
    if (found_now := Saved(known, files.left_aside)) != saved or not there:
        _save(folder, found_now)
    readable = [split for group in groups for split in known[group_key(group)]]
    return readable + [Split((file,)) for file in files.faulty]


@dataclass(frozen=True)
class Cut:
    """Divides a file into splits (ranges that one task reads). Runs on a worker, because the file
    may have to be scanned. A file whose scan takes too long, or crashes, is a single split.
    `folder` is the folder of the pass."""

    reader: Reader
    media: MediaOptions
    folder: str

    def __call__(self, group: tuple[File, ...]) -> list[Split]:
        key = group_key(group)
        work = partial(cut, self.reader, self.media, group)
        with time_limit.limiting(self.folder, f"splits-{key}", key, self.media.max_cpu_seconds):
            try:
                return time_limit.current().call("splits", 0, 0, work, time_limit.READ_FACTOR)
            except time_limit.STOPPED:
                return [Split(group)]


def cut(reader: Reader, media: MediaOptions, group: tuple[File, ...]) -> list[Split]:
    """Divide a file into splits. A group of several files is a single split. A file that cannot be
    divided because of an error is a single split too: the task that reads this split gets the same
    error, and quarantines the file."""
    if len(group) > 1:
        return [Split(group)]
    with contextlib.closing(media.open()) as opened:
        try:
            return list(reader.splits(group[0], Context(media.base, opened, BlobFile())))
        except (FileError, UnreadableError):
            return [Split(group)]


def group_key(group: list[File] | tuple[File, ...]) -> str:
    """Return the key of a group of files in `Saved.by_group`: a hash of their names, sizes and
    times."""
    return fingerprint([list(file) for file in group])


def load(folder: str) -> Saved:
    """Return the splits that a run saved in the folder of a read pass; no splits if the saved file
    is missing or damaged."""
    content = saved_splits.load(folder)
    if isinstance(content, str):
        return Saved({}, {})
    known = content.splits.items()
    by_group = {key: [_split(one) for one in splits] for key, splits in known}
    return Saved(by_group, content.left_aside)


def _split(content: list[Any]) -> Split:
    return Split(tuple(File(*file) for file in content[0]), *content[1:])


def _save(folder: str, saved: Saved) -> None:
    content = manifest.with_checksum(
        {"splits": saved.by_group, "left_aside": dict(saved.left_aside)}
    )
    storage.write_bytes(storage.join(folder, saved_splits.NAME), content)
