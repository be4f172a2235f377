"""Finds the content of dropped records. The files of dropped rows have only measures and reasons,
so the content is read from the files of earlier passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.inspect.part_records import PassFiles, passes_of, records_after
from manifests.run.file_names import DROPPED
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.digest import stated_file

CONTENT = ("content", "media", "objects")
_BATCH_ROWS = 64
"""Rows whose content is searched at once (our choice): few, because a caller may need only the
first."""


def dropped(out: str) -> Iterator[dict[str, Any]]:
    """Yield the dropped rows of a run, starting with the last pass, each with its content.

    The content is as it was before the pass that dropped the record, even if an earlier step of
    this pass changed it. A record that was made and dropped in the same pass has no content.
    """
    passes = passes_of(out)
    for at in reversed(range(len(passes))):
        for commit in passes[at].commits.values():
            yield from _of_part(passes, at, commit)


def _of_part(passes: list[PassFiles], at: int, commit: Commit) -> Iterator[dict[str, Any]]:
    file = commit.file(DROPPED)
    if file is None:
        return
    view = records_after(passes[:at], commit.part, CONTENT)
    stored = view.read_columns(("id", "origin", *CONTENT), parts.read_checked)
    for batch in parts.read(stated_file(passes[at].folder, file), _BATCH_ROWS):
        known = _contents(batch, stored)
        for row in batch.to_pylist():
            yield {**row, **known.get((row["id"], row["origin"]), {})}


def _contents(batch: pa.Table, stored: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the content of the dropped records in `batch`, by (id, origin). The table `stored` has
    the content; a record that is not in this table is left out."""
    rows = stored.filter(pc.is_in(stored["id"], batch["id"])).to_pylist()
    return {(row.pop("id"), row.pop("origin")): row for row in rows}
