"""Whether what a commit answers for is still there, and the same."""

from __future__ import annotations

from manifests import storage
from manifests.run.fingerprint import file_digest
from manifests.run.manifest import Commit


def present(folder: str, commit: Commit) -> bool:
    """Whether the files of a commit are there in full length; `verify` reads their bytes too."""
    for entry in commit.files:
        found = storage.size_and_stamp(storage.join(folder, entry.name))
        if found is None or found[0] != entry.size_bytes:
            return False
    return True


def sound(folder: str, commit: Commit) -> bool:
    """Whether the files of a commit are there and hold what they held."""
    return present(folder, commit) and all(
        file_digest(storage.join(folder, entry.name)) == entry.digest for entry in commit.files
    )
