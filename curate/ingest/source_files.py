"""Divides the files under a source's path into files that are read and files that are left aside.

If curate wrote the output of a run into a folder below the source, the files of this folder belong
to neither, because their number may change with each run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from curate.ingest.formats.saved_datasets import CACHE, data_files
from manifests import storage
from manifests.storage import File

HIDDEN, EXCLUDED = "hidden", "excluded"
CACHES, NOT_IN_STATE = "cache-*.arrow", "not in state.json"
NO_ENDING, OTHER_ENDINGS = "no ending", "other endings"
MAX_KINDS = 20
"""The largest number of kinds that are listed (our choice). If there are more, the files with the
rarest endings are counted together, as `other endings`."""
_ENDING = re.compile(r"\.\w{1,12}")


class SourceFiles(NamedTuple):
    """The entries that the path of a source finds.

    `readable` are the files that are read. `faulty` are the entries that cannot be read, such as
    broken links; the field `size` of such an entry has a code in place of a size, and
    `storage.FAULTS` has the message for each code. `left_aside` is the number of files that are
    left aside, by kind: `{".md": 1}`. `unmatched` has the globs of the setting `exclude` that match
    no file.
    """

    readable: list[File]
    faulty: list[File]
    left_aside: Mapping[str, int]
    unmatched: tuple[str, ...] = ()


def sort_files(
    listed: Sequence[File], kind_of: Callable[[str], str | None], exclude: Sequence[str]
) -> SourceFiles:
    """Sorts the listed entries of a source into files to read, faulty entries, and files left
    aside.

    `kind_of` gets the name of a file. It returns the kind under which the file is left aside, such
    as `.md`, or None if the file is read. Also left aside are hidden files, the files and folders
    that a glob pattern in `exclude` matches, and Arrow files that are no data (see `data_files`).
    """
    readable, faulty, aside = list[File](), list[File](), Counter[str]()
    for file, kind in kinds_aside(listed, kind_of, exclude):
        if kind is not None:
            aside[kind] += 1
        else:
            (faulty if file.size < 0 else readable).append(file)
    return SourceFiles(readable, faulty, _bounded(aside), _unmatched(listed, exclude))


def kinds_aside(
    listed: Sequence[File], kind_of: Callable[[str], str | None], exclude: Sequence[str]
) -> list[tuple[File, str | None]]:
    """Returns each listed entry with the kind under which it is left aside; None if it is not left
    aside. The arguments are those of `sort_files`."""
    excluded = excluding(exclude)

    def by_name(file: File) -> str | None:
        if storage.is_hidden(file.name):
            return HIDDEN
        if excluded.fullmatch(file.name):
            return EXCLUDED
        return kind_of(file.name) if file.size >= 0 else None

    kinds = [(file, by_name(file)) for file in listed]
    readable = [file for file, kind in kinds if kind is None and file.size >= 0]
    kept = data_files(readable)
    if len(kept) == len(readable):
        return kinds
    copies = {file.name for file in readable} - {file.name for file in kept}
    return [(f, _copy_kind(f) if k is None and f.name in copies else k) for f, k in kinds]


def notes_on(source: str, found: SourceFiles) -> list[str]:
    """The notes for the user about the globs of `exclude` that match no file of a source."""
    return [
        f"{source}: the glob {glob!r} of `exclude` matches no file, so it leaves out nothing. A "
        "glob with a slash before its end is compared with the path below the source, which "
        "does not begin with the source's own folder; any other glob with names. Correct it, or "
        "remove it."
        for glob in found.unmatched
    ]


def _unmatched(listed: Sequence[File], exclude: Sequence[str]) -> tuple[str, ...]:
    """The globs that match none of the listed files."""
    matches = {glob: excluding([glob]).fullmatch for glob in exclude}
    return tuple(g for g, match in matches.items() if not any(match(f.name) for f in listed))


def ending_of(name: str) -> str:
    """Returns the kind under which a file is counted if the reader does not accept the file's
    ending. The kind is the ending itself, such as `.md`, if it has up to 12 letters, digits and
    underscores; otherwise, the kind is `no ending`."""
    stem, dot, last = storage.base_name(name).rpartition(".")
    ending = (dot + last).lower()
    return ending if stem and _ENDING.fullmatch(ending) else NO_ENDING


def excluding(globs: Sequence[str]) -> re.Pattern[str]:
    """Returns one regular expression for the globs of the setting `exclude`. It matches the names
    of files that a glob matches, and of all files in folders that a glob matches.

    A glob without a slash, or with a slash only at its end, applies to names at any depth: `*.tmp`,
    `old/`. Any other glob applies to the path below the source: `2019/*.jsonl`, `/old`, `./old`.
    Raises re.error for a malformed glob.
    """
    nothing = "(?!)"
    return re.compile("|".join(map(_excluding, globs)) or nothing, re.DOTALL)


def _excluding(glob: str) -> str:
    anywhere = "" if "/" in glob.rstrip("/") else "(?:.*/)?"
    below = glob.removeprefix("./").strip("/")
    return f"{anywhere}(?:{storage.glob_pattern(below)})(?:/.*)?"


def _copy_kind(file: File) -> str:
    return CACHES if storage.base_name(file.uri).startswith(CACHE) else NOT_IN_STATE


def _bounded(kinds: Counter[str]) -> dict[str, int]:
    if len(kinds) <= MAX_KINDS:
        return dict(sorted(kinds.items()))
    most = sorted(kinds, key=lambda kind: (kind[0] == ".", -kinds[kind], kind))[: MAX_KINDS - 1]
    kept = {kind: kinds[kind] for kind in sorted(most)}
    return kept | {OTHER_ENDINGS: kinds.total() - sum(kept.values())}
