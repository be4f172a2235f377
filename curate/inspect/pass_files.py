"""The files that a pass of a finished run wrote."""

from __future__ import annotations

from collections.abc import Iterator

from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import PassEntry
from manifests.storage.digest import stated_file


def files_of(out: str, entry: PassEntry, ending: str) -> Iterator[str]:
    """Yields the paths of the files of a pass that have the name of a part and `ending`, such as
    `.dropped.arrow`. `out` is the folder of the run. Raises ManifestError if the manifest of the
    pass differs from what the manifest of the run states about it, or if a file does not have the
    size that the manifest of the pass states."""
    folder = storage.join(out, entry.folder)
    for commit in manifest.load_pass_of(out, entry).parts:
        if file := commit.file(ending):
            yield stated_file(folder, file)
