"""Writes sidecars. A sidecar is a file beside a part (a file of records) with the result of a step:
new columns for the part's rows, and marks for rows that the step removed."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.engine.outcomes import Answer, StepResult, apply_answer, dropped_schema
from curate.engine.part_files import blob_entries, save_commit
from curate.engine.part_view import DROP, ERROR, PartView
from curate.engine.planned import PlannedStep, part_schema
from manifests import storage
from manifests.media.blobs import BlobFile
from manifests.run.file_names import BLOBS, DROPPED, PART, QUARANTINE
from manifests.run.ledger import check
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry


def write_sidecar(
    folder: str,
    step: PlannedStep,
    before: list[PlannedStep],
    view: PartView,
    answer: Answer,
    passed_over: int,
    inputs_digest: str = "",
    more: tuple[FileEntry, ...] = (),
    blobs: BlobFile | None = None,
) -> Commit:
    """Write the result of a step for one part: the sidecar (new columns, and marks for removed
    rows), the dropped and quarantined rows, and the commit that lists these files.

    `view` is the part; only the columns that a dropped row has are read from it. `answer` is the
    result of the step for all rows of the part, and `passed_over` the number of rows that the step
    did not process. `before` lists the steps that ran earlier. `inputs_digest` identifies the
    inputs; if it is "", the digest of the part is used. `more` lists files that the step wrote for
    the part, and `blobs` is the file of bytes that the step stored.
    """
    dropped_as = dropped_schema(part_schema([*before, step]))
    made_here = ("step", "reason", *answer.columns)
    names = [n for n in dropped_as.names if n not in made_here]
    rows = view.read_columns(tuple(dict.fromkeys((*names, *step.step.rewrites))))
    result = apply_answer(step.name, rows, answer, dropped_as, passed_over)
    check([result.account], f"step {step.name}")
    kept = result.kept.num_rows
    commit = Commit(
        part=view.name,
        inputs_digest=inputs_digest or view.digest,
        origin=view.origin,
        rows=kept,
        media_bytes=view.media_bytes * kept // max(1, view.rows),
        text_bytes=view.text_bytes * kept // max(1, view.rows),
        files=[
            *_write(folder, view.name, answer, result),
            *more,
            *(blob_entries(view.name + BLOBS, blobs) if blobs else []),
        ],
        ledger=[result.account],
    )
    save_commit(folder, commit)
    return commit


def _write(folder: str, part: str, answer: Answer, result: StepResult) -> Iterator[FileEntry]:
    """Write the sidecar, then the dropped and the quarantined rows, if any."""
    columns = {**answer.columns, DROP: answer.drop, ERROR: answer.errors["kind"]}
    sidecar = pa.table(columns)
    yield parts.write(storage.join(folder, part + PART), sidecar.schema, [sidecar])
    for ending, table in ((DROPPED, result.dropped), (QUARANTINE, result.quarantined)):
        if table.num_rows:
            yield parts.write(storage.join(folder, part + ending), table.schema, [table])
