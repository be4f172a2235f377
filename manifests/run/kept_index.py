"""Finds the files of an index that a corpus step of an earlier run has kept for later runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifests import storage
from manifests.errors import ManifestError, RecipeError
from manifests.run import manifest
from manifests.storage.digest import fault_of
from manifests.storage.file_entry import FileEntry

_FIX_DAMAGED = "Repeat the earlier run in its folder: it replaces a damaged index."


class KeptFile(NamedTuple):
    """A file of an earlier run: its path, and what the manifest states about it."""

    uri: str
    entry: FileEntry


def corpus_passes(run: str) -> list[str]:
    """Returns the folders in which a run's corpus steps wrote their files. Raises RecipeError if
    the run has no corpus step."""
    passes = manifest.load_run(run).passes
    found = [storage.join(run, entry.folder) for entry in passes if entry.kind == "corpus"]
    if not found:
        raise _no_index(run)
    return found


def kept_files(
    run: str, kind: str, version: int, settings: dict[str, Any], ending: str
) -> list[KeptFile]:
    """Returns the files with the ending `ending` that a step kept in the folder of an earlier run.
    The step must have had the class `kind`, this `version`, `index: true` and these `settings`.

    `kind` is the name of the step's class, as manifests state it. Every file is read once, to check
    it. Raises RecipeError if the run has no such index, and ManifestError if a file is not as its
    manifest states.
    """
    found = [
        KeptFile(storage.join(folder, entry.name), entry)
        for folder, entry in _index_of(run, kind, version, settings, ending)
    ]
    for uri, entry in found:
        if fault := fault_of(uri, entry):
            raise ManifestError(fault, uri, _FIX_DAMAGED)
    return found


def _index_of(
    run: str, kind: str, version: int, settings: dict[str, Any], ending: str
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
            return [(folder, file) for c in known.parts if (file := c.file(ending))]
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
