"""`curate plan`: list the passes over the data that a run of the recipe makes, and which of the
passes are already done."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from curate import recipe
from curate.commands.tables import table
from curate.engine import plan as planning
from curate.engine.files_counted import listed
from curate.engine.media_options import MediaOptions
from curate.engine.passes import Pass, ReadPass
from curate.engine.source_check import checked_files
from curate.ingest.reader import Reader
from curate.ingest.source_files import SourceFiles, notes_on
from manifests import storage
from manifests.errors import CurateError
from manifests.run import manifest
from manifests.run.counted import Counted
from manifests.run.file_names import STEPS
from manifests.run.manifest import PassManifest
from manifests.visible import on_one_line


def main(options: argparse.Namespace) -> int:
    loaded = recipe.load(options.recipe, options.set)
    rows, read = [], set()
    for number, planned in enumerate(planning.plan(loaded), 1):
        done = _done(options.out, planned)
        parts = len(done.parts) if done else None
        rows.append((number, planned.kind, planned.title, planned.fingerprint, _state(done), parts))
        if done and isinstance(planned, ReadPass):
            read.add(planned.name)
    media = MediaOptions(loaded.base, "", loaded.recipe.media)
    found = [_files(reader, media, reader.name in read) for reader in loaded.readers]
    files = [_counts(reader, one) for reader, one in zip(loaded.readers, found, strict=True)]
    if options.json:
        keys = ("number", "kind", "does", "fingerprint", "state", "parts", "files")
        shown = zip_longest(rows, map(_as_json, files))
        print(json.dumps([dict(zip(keys, (*r, f), strict=True)) for r, f in shown], indent=1))
        return 0
    print(table(("pass", "kind", "does", "fingerprint", "state", "parts"), rows))
    print()
    width = max(len(reader.name) for reader in loaded.readers)
    for reader, counts in zip(loaded.readers, files, strict=True):
        print(f"{reader.name:<{width}}  {on_one_line(str(counts))}")
    notes = [*_notes(loaded.readers, found), *planning.notes(loaded)]
    print("".join(f"\n{on_one_line(note)}" for note in notes), end="")
    print(
        "\nA run checks each part of the passes that are done, and makes only changed parts again."
    )
    return 0


def _files(reader: Reader, media: MediaOptions, is_read: bool) -> SourceFiles | str:
    """Return the files that a run would read from a source, and the files that it would skip. If a
    run would stop at the source, return the error text instead of raising an error, so that the
    plan can still be printed. The content of the files is not checked if the source `is_read`
    already."""
    try:
        return reader.find_files(media.base) if is_read else checked_files(reader, media)
    except CurateError as error:
        return str(error)


def _counts(reader: Reader, found: SourceFiles | str) -> Counted | str:
    return found if isinstance(found, str) else listed(reader.name, found)


def _notes(readers: Sequence[Reader], found: Sequence[SourceFiles | str]) -> Iterator[str]:
    """Yield notes for the user about the files, for example that a glob of `exclude` matches no
    file of a source."""
    for reader, files in zip(readers, found, strict=True):
        yield from () if isinstance(files, str) else notes_on(reader.name, files)


def _as_json(found: Counted | str) -> Any:
    return found if isinstance(found, str) else found.model_dump(mode="json")


def _done(out: str | None, planned: Pass[Any]) -> PassManifest | None:
    if out is None:
        return None
    place = storage.join(out, STEPS, planned.folder_name)
    there = storage.size_and_stamp(storage.join(place, manifest.NAME))
    found = manifest.load_pass(place) if there else None
    return found if found and found.fingerprint == planned.fingerprint else None


def _state(done: PassManifest | None) -> str:
    return f"done: {done.rows:,} rows" if done else "to run"
