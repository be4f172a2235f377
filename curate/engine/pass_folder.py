"""The folder of a pass: the commits of its parts (a commit lists the files of one part), and a
manifest, which is written once every part has a commit."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from curate.emit import shard_set
from curate.engine import checkpoints, workspace
from curate.engine.commits import THREADS
from curate.engine.part_files import commit_uri
from manifests import storage
from manifests.errors import ManifestError
from manifests.run import manifest
from manifests.run.manifest import Commit, PassManifest


class PassFolder(NamedTuple):
    """The folders of a pass, which reads and writes all parts of the data once. `folder` has the
    commits and the manifest. `files` has the files that the commits list; it is often the same
    folder."""

    folder: str
    files: str

    def open(self, out: str) -> None:
        """Make the folders. Raises ManifestError if one of the folders is a link that leads out of
        the folder `out` of the run, because files in these folders will be deleted."""
        for folder in dict.fromkeys((self.folder, self.files)):
            storage.make_folder(folder)
            if not storage.is_inside(out, folder):
                raise ManifestError(
                    f"this folder is a link to a place outside the run's folder {out}",
                    folder,
                    "Remove the link. To store a run in another place, name its folder with -o.",
                )

    def groups(self, digests: dict[str, str]) -> list[list[Commit]]:
        """Return the commits of the tasks that need not run again, one list of commits for each
        task. A task need not run again if all parts that it makes have a commit, and were made from
        the task's present inputs.

        `digests` has the digest of the present inputs of each task, by the name of the first part
        that the task makes. Only the commits are read, not the files of the parts.
        """
        first = [c for p, c in self._load(digests).items() if c.inputs_digest == digests[p]]
        more = self._load(name for commit in first for name in commit.more)
        found = ([c, *(more[name] for name in c.more if name in more)] for c in first)
        return [
            group
            for group in found
            if len(group) == 1 + len(group[0].more)
            and all(c.inputs_digest == group[0].inputs_digest for c in group)
        ]

    def begin(self, parts: set[str]) -> None:
        """Prepare the folder for changes.

        Deletes the unfinished files of killed tasks, the files of all parts that are not named in
        `parts`, and the manifests, which will no longer describe the files.
        """
        if self.files != self.folder:
            storage.delete(storage.join(self.files, shard_set.NAME))
        self._delete(self._committed() - parts)
        storage.clear_unfinished(self.files)

    def forget(self, parts: set[str] | None) -> None:
        """Delete the named parts (None: all parts), and all unfinished work on them, because they
        were made from damaged files."""
        committed = self._committed()
        self._delete(committed if parts is None else committed & parts)
        storage.delete_folder(storage.join(self.folder, workspace.WORK))
        if parts is None:
            checkpoints.clear(self.folder)
        for part in parts or ():
            storage.delete_folder(storage.join(self.folder, checkpoints.FOLDER, part))

    def has(self, made: PassManifest) -> bool:
        """Whether the folder has this manifest of the pass."""
        place = storage.join(self.folder, manifest.NAME)
        return storage.exists(place) and storage.read_bytes(place) == manifest.content_of(made)

    def finish(self, made: PassManifest) -> None:
        """Write the manifest of the pass, and delete the parts that the manifest does not list."""
        self._delete(self._committed() - {commit.part for commit in made.parts})
        storage.write_bytes(storage.join(self.folder, manifest.NAME), manifest.content_of(made))

    def _committed(self) -> set[str]:
        """The names of all parts that have a commit in the folder."""
        names = storage.names(self.folder)
        ours = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return {*ours} - {"manifest", "splits"}

    def _load(self, parts: Iterable[str]) -> dict[str, Commit]:
        """Read the commits of the named parts. Missing and damaged commits are left out."""
        names = list(parts)
        uris = [commit_uri(self.folder, name) for name in names]
        with ThreadPoolExecutor(THREADS) as threads:
            found = zip(names, threads.map(manifest.load_commit, uris), strict=True)
            return {name: commit for name, commit in found if commit and commit.part == name}

    def _delete(self, parts: set[str]) -> None:
        """Delete the manifest of the pass, and the files and commits of the named parts."""
        storage.delete(storage.join(self.folder, manifest.NAME))
        known = self._load(parts)
        there = storage.names(self.files) if parts - known.keys() else []
        for part in parts:
            if part in known:
                files = [entry.name for entry in known[part].files]
            else:  # its commit is damaged
                files = [name for name in there if name.startswith(f"{part}.")]
            places = [storage.join(self.files, name) for name in files]
            for place in [p for p in places if storage.is_inside(self.files, p)]:
                storage.delete(place)
            storage.delete(commit_uri(self.folder, part))
