"""Finds the content of dropped records. The files of dropped rows have only measures and reasons,
so the content is read from the files of earlier passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.part_view import PartView
from manifests import storage
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.digest import stated_file

CONTENT = ("content", "media", "objects")
_BATCH_ROWS = 64
"""Rows whose content is searched at once (our choice): few, because a caller may need only the
first."""


class _Pass(NamedTuple):
    """A pass of the run. `commits` has, by the name of each part, the list of files that the pass
    wrote for the part."""

    kind: str
    folder: str
    commits: dict[str, Commit]


def dropped(out: str) -> Iterator[dict[str, Any]]:
    """Yield the dropped rows of a run, starting with the last pass, each with its content.

    The content is as it was before the pass that dropped the record, even if an earlier step of
    this pass changed it. A record that was made and dropped in the same pass has no content.
    """
    passes = [
        _Pass(
            entry.kind,
            storage.join(out, entry.folder),
            {commit.part: commit for commit in manifest.load_pass_of(out, entry).parts},
        )
        for entry in manifest.load_run(out).passes
    ]
    for at in reversed(range(len(passes))):
        for commit in passes[at].commits.values():
            yield from _of_part(passes, at, commit)


def _of_part(passes: list[_Pass], at: int, commit: Commit) -> Iterator[dict[str, Any]]:
    file = commit.file(DROPPED)
    if file is None:
        return
    view = _view(passes[:at], commit.part)
    stored = view.read_columns(("id", "origin", *CONTENT), parts.read_checked)
    for batch in parts.read(stated_file(passes[at].folder, file), _BATCH_ROWS):
        known = _contents(batch, stored)
        for row in batch.to_pylist():
            yield {**row, **known.get((row["id"], row["origin"]), {})}


def _view(passes: list[_Pass], part: str) -> PartView:
    """Return a view of the records of a part as they are after the given passes: the last file that
    has complete records, with the columns of the files that later passes wrote beside it. Files of
    measures that do not change the content are left out."""
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
        elif view and not set(CONTENT).isdisjoint(parts.open_part(uri).schema.names):
            view = view.with_measures(commit, uri)
    assert view is not None
    return view


def _contents(batch: pa.Table, stored: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the content of the dropped records in `batch`, by (id, origin). The table `stored` has
    the content; a record that is not in this table is left out."""
    rows = stored.filter(pc.is_in(stored["id"], batch["id"])).to_pylist()
    return {(row.pop("id"), row.pop("origin")): row for row in rows}
