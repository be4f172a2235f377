"""The index of a run: a file for each part, with the data that later runs need to drop duplicates
of the run's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES
from filters.duplicates.kinds.contract import Identity, Kind
from manifests import storage
from manifests.errors import ManifestError, RecipeError
from manifests.run import manifest
from manifests.storage import parts
from manifests.storage.digest import fault_of
from manifests.storage.file_entry import FileEntry

ENDING = ".index.arrow"
_FIX_DAMAGED = "Repeat the earlier run in its folder: it replaces a damaged index."


def write_index(
    uri: str, rows: pa.Table, stays: pa.Array, compared: Sequence[Kind | Identity]
) -> FileEntry:
    """Writes the index file of a part: the id of each record that stays, and the values by which
    later runs compare the record.

    `stays` has a bool for each row. `compared` lists the comparisons that later runs make.
    """
    # Families of images are valid in one run only: a later run computes its own from the hashes.
    names = [name for one in compared for name in one.columns if name != IMAGE_FAMILIES]
    table = rows.select(list(dict.fromkeys(("id", *names)))).filter(stays).combine_chunks()
    kept = {"id": table["id"]}
    for one in compared:
        kept |= one.index_columns(table)
    index = pa.table(kept)
    return parts.write(uri, index.schema, [index])


class IndexFiles(NamedTuple):
    """The index files of earlier runs, and how many records they hold."""

    files: tuple[str, ...]
    rows: int


def find_index_files(
    runs: tuple[str, ...], kind: str, version: int, settings: dict[str, Any]
) -> IndexFiles:
    """Returns the index files in the folders of earlier runs, if a step of the class `kind` and of
    the version `version` wrote the files with the same `settings`.

    `kind` is the name of the step's class, as manifests state it. Every file is read once, to check
    it. Raises RecipeError if a run has no such index, and ManifestError if a file differs from its
    manifest.
    """
    files: list[str] = []
    rows = 0
    for run in runs:
        for folder, entry in _index_of(run, kind, version, settings):
            files.append(storage.join(folder, entry.name))
            rows += entry.rows
            if fault := fault_of(files[-1], entry):
                raise ManifestError(fault, files[-1], _FIX_DAMAGED)
    return IndexFiles(tuple(files), rows)


def corpus_passes(run: str) -> list[str]:
    """Returns the folders in which a run's corpus steps wrote their files. Raises RecipeError if
    the run has no corpus step."""
    passes = manifest.load_run(run).passes
    found = [storage.join(run, entry.folder) for entry in passes if entry.kind == "corpus"]
    if not found:
        raise _no_index(run)
    return found


def _index_of(
    run: str, kind: str, version: int, settings: dict[str, Any]
) -> list[tuple[str, FileEntry]]:
    differing, versions = [], []
    for folder in corpus_passes(run):
        known = manifest.load_pass(folder)
        step = known.steps[0]
        if step["kind"] != kind or not step["parameters"].get("index"):
            continue
        if step["version"] != version:
            versions.append(step["version"])
            continue
        indexed = {name: step["parameters"][name] for name in settings}
        if indexed == settings:
            return [(folder, file) for c in known.parts if (file := c.file(ENDING))]
        differing.append({k: v for k, v in indexed.items() if v != settings[k]})
    if versions:
        fault = f": the step had version {versions[0]} in the earlier run, but now has {version}"
        fix = "Run the recipe of the earlier run again, with a new output folder."
        raise _no_index(run, fault, fix)
    if not differing:
        raise _no_index(run)
    fault = f": the step had other settings in the earlier run, such as {differing[0]}"
    raise _no_index(run, fault)


def _no_index(
    run: str,
    reason: str = "",
    fix: str = "Name a run that has this step with the same settings and with `index: true`.",
) -> RecipeError:
    return RecipeError(f"the earlier run has no index to compare with{reason}.", run, fix)
