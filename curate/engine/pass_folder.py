"""The folder of a pass: the commits of its parts, and a manifest once every part is committed."""

from __future__ import annotations

from typing import NamedTuple

from curate.emit import shard_set
from curate.engine.commits import present
from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import Commit, PassManifest


class PassFolder(NamedTuple):
    """The folders of a pass. `folder` has the commits and the manifest. `files` has the files
    listed in the commits; it is often the same folder."""

    folder: str
    files: str

    def commits(self, digests: dict[str, str]) -> dict[str, Commit]:
        """Return the valid commits, by part: those made from the same inputs, with all files
        present.

        `digests` has the digest of the inputs of each part.
        """
        known = self._in_manifest()
        found = {}
        for part, digest in digests.items():
            commit = known.get(part)
            if commit is None or commit.inputs_digest != digest:
                commit = manifest.load_commit(storage.join(self.folder, f"{part}.json"))
            if commit and commit.inputs_digest == digest and present(self.files, commit):
                found[part] = commit
        return found

    def begin(self, parts: set[str]) -> None:
        """Prepare the folder for changes.

        Deletes unfinished files of killed tasks, all parts that are not in `parts`, and the
        manifests, because they will no longer be true.
        """
        if self.files != self.folder:
            storage.delete(storage.join(self.files, shard_set.NAME))
        self._delete_other_parts(parts)
        storage.clear_unfinished(self.files)

    def finish(self, made: PassManifest) -> None:
        """Write the manifest of the pass, unless the folder already has an identical one."""
        if not self._is_current(made):
            self._delete_other_parts({commit.part for commit in made.parts})
            manifest.save(made, storage.join(self.folder, manifest.NAME))

    def _in_manifest(self) -> dict[str, Commit]:
        if not self._has_manifest():
            return {}
        return {commit.part: commit for commit in manifest.load_pass(self.folder).parts}

    def _has_manifest(self) -> bool:
        return storage.exists(storage.join(self.folder, manifest.NAME))

    def _is_current(self, made: PassManifest) -> bool:
        """Whether the manifest in the folder describes the same parts and counts."""
        if not self._has_manifest():
            return False
        known = manifest.load_pass(self.folder)
        return known.digest == made.digest and known.counted == made.counted

    def _delete_other_parts(self, parts: set[str]) -> None:
        """Delete the manifest of the pass, and the parts listed in it that are not in `parts`."""
        known = self._in_manifest()
        storage.delete(storage.join(self.folder, manifest.NAME))
        for commit in known.values():
            if commit.part not in parts:
                storage.delete(storage.join(self.folder, f"{commit.part}.json"))
                for entry in commit.files:
                    storage.delete(storage.join(self.files, entry.name))
