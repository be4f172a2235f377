"""The records of a part as they are after some passes of a finished run."""

from __future__ import annotations

from typing import NamedTuple

from curate.engine.part_view import PartView
from manifests import storage
from manifests.run import manifest
from manifests.run.file_names import PART
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.digest import stated_file


class PassFiles(NamedTuple):
    """A pass of the run. `commits` has, by the name of each part, the list of files that the pass
    wrote for the part."""

    kind: str
    folder: str
    commits: dict[str, Commit]


def passes_of(out: str) -> list[PassFiles]:
    """Return the passes of the run in the folder `out`, in order."""
    return [
        PassFiles(
            entry.kind,
            storage.join(out, entry.folder),
            {commit.part: commit for commit in manifest.load_pass_of(out, entry).parts},
        )
        for entry in manifest.load_run(out).passes
    ]


def records_after(passes: list[PassFiles], part: str, columns: tuple[str, ...]) -> PartView:
    """Return a view of the records of a part as they are after the given passes: the last file that
    has complete records, with the columns of the files that later passes wrote beside it. Files of
    measures that have none of `columns` are left out."""
    view: PartView | None = None
    for one in passes:
        commit = one.commits.get(part)
        file = commit.file(PART) if commit else None
        if commit is None or file is None:
            continue
        uri = stated_file(one.folder, file)
        if one.kind in ("read", "rows"):
            view = PartView.of_commit(commit, uri)
        elif view and one.kind != "measure":
            view = view.with_sidecar(commit, uri)
        elif view and not set(columns).isdisjoint(parts.open_part(uri).schema.names):
            view = view.with_measures(commit, uri)
    assert view is not None
    return view
