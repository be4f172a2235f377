"""Checks that the files listed in a commit still exist and are unchanged."""

from __future__ import annotations

from manifests import storage
from manifests.run.manifest import Commit
from manifests.storage.digest import file_digest


def present(folder: str, commit: Commit) -> bool:
    """Whether all files of a commit exist and have their recorded size. Their bytes are not read;
    `curate verify` does that."""
    for entry in commit.files:
        found = storage.size_and_stamp(storage.join(folder, entry.name))
        if found is None or found[0] != entry.size_bytes:
            return False
    return True


def unchanged(folder: str, commit: Commit) -> bool:
    """Whether all files of a commit exist and have the digests recorded in it."""
    return present(folder, commit) and all(
        file_digest(storage.join(folder, entry.name)) == entry.digest for entry in commit.files
    )
