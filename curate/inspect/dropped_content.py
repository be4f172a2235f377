"""Finds the content of dropped records. Files of dropped rows have measures and reasons only."""

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
    """A pass of the run: its kind, its folder, and the commits of its parts by the part's name."""

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
    """Return the view of a part after these passes: the last file with its complete records, and
    the sidecars that later passes wrote for it. Measures that change no content are left out."""
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
    """Return a dict from (id, origin) to the content of each record of the batch that the table
    `stored` has."""
    rows = stored.filter(pc.is_in(stored["id"], batch["id"])).to_pylist()
    return {(row.pop("id"), row.pop("origin")): row for row in rows}
