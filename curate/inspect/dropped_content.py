"""Finds the content of dropped records. Files of dropped rows have measures and reasons only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.part_files import DROPPED, PART
from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import Commit, RunManifest
from manifests.storage import parts
from manifests.storage.digest import stated_file

CONTENT = ("content", "media", "objects")
_WRITES_RECORDS = ("read", "rows")
"""Kinds of passes whose part files have complete records."""
_BATCH_ROWS = 64
"""Rows whose content is read at once (our choice): few, because a caller may need only the
first."""


def dropped(out: str, kinds: tuple[str, ...] = ("rows", "corpus", "decide")) -> Iterator[Any]:
    """Yield the dropped rows of a run, starting with the last pass, each with its content. `kinds`
    are the kinds of passes whose dropped rows are wanted.

    The content is as it was before the pass that dropped the record, even if an earlier step of
    this pass changed it. A record that was made and dropped in the same pass has no content.
    """
    run = manifest.load_run(out)
    for at in reversed(range(len(run.passes))):
        if run.passes[at].kind in kinds:
            for commit in manifest.load_pass_of(out, run.passes[at]).parts:
                yield from _of_part(run, out, at, commit)


def _of_part(run: RunManifest, out: str, at: int, commit: Commit) -> Iterator[dict[str, Any]]:
    file = commit.file(DROPPED)
    if file is None:
        return
    stored = list(_stored(run, out, at, commit.part))
    uri = stated_file(storage.join(out, run.passes[at].folder), file)
    for batch in parts.read(uri, _BATCH_ROWS):
        known = _contents(batch, stored)
        for row in batch.to_pylist():
            yield {**row, **known.get((row["id"], row["origin"]), {})}


def _stored(run: RunManifest, out: str, at: int, part: str) -> Iterator[str]:
    """Yield the uris of the files in which the passes before the pass with index `at` stored the
    records of the part named `part`. The file that was written last comes first."""
    for entry in reversed(run.passes[:at]):
        place = storage.join(out, entry.folder, part + PART)
        if entry.kind in _WRITES_RECORDS and storage.exists(place):
            yield place


def _contents(batch: pa.Table, stored: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a dict from (id, origin) to the content of each record of the batch that is in the
    files `stored`. The first file that has the record is used."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for uri in stored:
        if len(found) >= batch.num_rows:
            break
        table = parts.read_checked(uri, ("id", "origin", *CONTENT))
        for row in table.filter(pc.is_in(table["id"], batch["id"])).to_pylist():
            found.setdefault((row.pop("id"), row.pop("origin")), row)
    return found
