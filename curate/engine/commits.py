"""Whether the files that a commit names are still there, and unchanged."""

from __future__ import annotations

from manifests import storage
from manifests.run.manifest import Commit
from manifests.storage.digest import file_digest


def present(folder: str, commit: Commit) -> bool:
    """Whether all files of a commit exist in full length; `curate verify` reads their bytes too."""
    for entry in commit.files:
        found = storage.size_and_stamp(storage.join(folder, entry.name))
        if found is None or found[0] != entry.size_bytes:
            return False
    return True


def unchanged(folder: str, commit: Commit) -> bool:
    """Whether all files of a commit exist with the digests it names."""
    return present(folder, commit) and all(
        file_digest(storage.join(folder, entry.name)) == entry.digest for entry in commit.files
    )
