"""Explains why a run has no record with the name that a user asks for. The file with this name was
excluded or left aside, or the file was read but has no such record."""

from __future__ import annotations

import re
from collections.abc import Iterator

from curate import recipe
from curate.engine import splits
from curate.ingest.reader import Reader, recipe_uri
from curate.ingest.source_files import EXCLUDED, HIDDEN, ending_of, excluding, kinds_aside
from manifests import storage
from manifests.errors import CurateError
from manifests.run import manifest
from manifests.run.counted import FILES, total_counted
from manifests.run.manifest import PassEntry, RunManifest
from manifests.storage import File

_ID = re.compile(r"[0-9a-f]{1,32}")


def outcome_of_input(run: RunManifest, out: str, wanted: str) -> str:
    """Return a sentence for each file named `wanted` that a source has: how many of its units (such
    as lines) became records, or why the file was left aside. Return "" if no source has such a
    file, or if `wanted` may be the start of an id.

    `wanted` is the name or uri of a file, the end of its uri, or a place in the file: `a.jsonl#12`.
    To find files that were left aside, the folder of each source is listed again, because the run
    stores only the number of these files.
    """
    if _ID.fullmatch(wanted):
        return ""
    reads = [entry for entry in run.passes if entry.kind == "read"]
    found = [text for entry in reads for text in _of_read_files(out, entry, wanted)]
    return " ".join(found or _of_left_aside(run, out, wanted))


def _is_named(uri: str, wanted: str) -> bool:
    ends = {wanted.removeprefix("./"), wanted.rpartition("#")[0].removeprefix("./")} - {""}
    return any(f"/{uri}".endswith(f"/{end}") for end in ends)


def _of_read_files(out: str, entry: PassEntry, wanted: str) -> Iterator[str]:
    """Yield a sentence for each file named `wanted` that the source has read, with what became of
    the lines, rows or other units of the file."""
    folder = storage.join(out, entry.folder)
    uris = [uri for uri in splits.load(folder).files if _is_named(uri, wanted)]
    if not uris:
        return
    commits = manifest.load_pass_of(out, entry).parts
    for uri in uris:
        own = [e for c in commits if c.origin == uri for e in c.counted if e.unit != FILES]
        counts = "".join(f": {one}" for one in total_counted(own))
        yield f"The source '{entry.name}' has read the file {uri}{counts}."


def _of_left_aside(run: RunManifest, out: str, wanted: str) -> Iterator[str]:
    """Yield a sentence for each file named `wanted` that a source leaves aside, with the reason."""
    try:
        loaded = recipe.of_manifest(run, out, run.environment["base"])
        for source, reader in zip(run.recipe["sources"], loaded.readers, strict=True):
            where = storage.resolve(loaded.base, reader.path)
            listed = storage.list_entries(where)
            for file, kind in kinds_aside(listed, reader.kind_aside, reader.exclude):
                if kind is not None and _is_named(file.uri, wanted):
                    uri = recipe_uri(reader.path, where, file.uri)
                    why = _reason(reader, source["reader"], file, kind)
                    yield f"The source '{reader.name}' leaves aside the file {uri}: {why}."
    except CurateError as error:
        yield f"Whether a source left aside a file of this name cannot be found: {error}"


def _reason(reader: Reader, name: str, file: File, kind: str) -> str:
    """Return why a file is left aside. `kind` is the kind under which the file is counted, such as
    `.md`, and `name` is the name of the reader."""
    if kind == HIDDEN:
        return "its name, or that of a folder above it, begins with a dot"
    if kind == EXCLUDED:
        globs = [one for one in reader.exclude if excluding([one]).fullmatch(file.name)]
        return f"the glob {globs[0]!r} of `exclude` matches it"
    if kind == ending_of(file.name):
        return f"`curate readers {name}` lists the endings that its reader takes"
    return f"it is counted as '{kind}'"
