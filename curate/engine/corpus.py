"""The pass of a corpus step: what it sees of the corpus, and its outcomes as narrow sidecars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.engine.passes import DROPPED, PART, QUARANTINE
from curate.engine.plan import PlannedPass
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.rows import dropped_schema, select, spread
from curate.engine.view import DROP, ERROR, View
from curate.engine.workspace import Workspace
from manifests import storage
from manifests.errors import StepError
from manifests.run import manifest
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import check
from manifests.run.manifest import Commit
from manifests.step import CorpusStep, Outcome, Part
from manifests.storage import parts


class Seen(NamedTuple):
    """The corpus as one step sees it: the rows it is for, the columns it declares.

    `rows`: of each part, how many it is for.
    """

    views: tuple[View, ...]
    planned: PlannedStep
    rows: tuple[int, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        counted = zip(self.views, self.rows, strict=True)
        return tuple(Part(n, view.name, rows) for n, (view, rows) in enumerate(counted))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        assert isinstance(self.planned.step, CorpusStep)
        wanted = self.planned.step.reads() if columns is None else columns
        names = [self.planned.in_run(name) for name in wanted]
        seen = tuple(dict.fromkeys((*names, *(self.planned.only or {}))))
        table = self.views[part.number].read_columns(seen)
        mask = self.planned.concerns(table)
        own = table.select(names).rename_columns(list(wanted))
        return own if mask is None else own.filter(pa.array(mask))


def _concerned(planned: PlannedStep, view: View) -> int:
    if planned.only is None:
        return view.rows
    mask = planned.concerns(view.read_columns(tuple(planned.only)))
    assert mask is not None
    return int(np.count_nonzero(mask))


def token(views: list[View]) -> str:
    """What the decision of a corpus step depends on: every part."""
    return fingerprint([[view.name, view.token] for view in views])


def run_corpus(
    planned_pass: PlannedPass, views: list[View], space: Workspace, seed: int
) -> list[Commit]:
    """Let the step decide, and write one sidecar a part."""
    planned = planned_pass.steps[0]
    assert isinstance(planned.step, CorpusStep)
    seen = Seen(tuple(views), planned, tuple(_concerned(planned, view) for view in views))
    commits: dict[int, Commit] = {}
    for part, outcome in planned.step.decide(seen, space, seed):
        view = views[part.number]
        commits[part.number] = _write(planned_pass, view, outcome, space)
    missing = [view.name for number, view in enumerate(views) if number not in commits]
    if missing:
        raise StepError(f"gave no outcome for {len(missing)} parts", f"step {planned.name}")
    return [commits[number] for number in range(len(views))]


def _write(planned_pass: PlannedPass, view: View, outcome: Outcome, space: Workspace) -> Commit:
    planned, folder = planned_pass.steps[0], space.kept
    schema = part_schema([*planned_pass.before, planned])
    gone = dropped_schema(schema)
    known = [f.name for f in gone if f.name not in ("step", "reason", *planned.measures)]
    only = tuple(planned.only or {})
    rows = view.read_columns(tuple(dict.fromkeys((*known, *planned.step.rewrites, *only))))
    mask = planned.concerns(rows)
    count = rows.num_rows if mask is None else int(np.count_nonzero(mask))
    checked = planned.checked(outcome, count)
    if mask is not None:
        checked = spread(checked, mask, rows)
    said = select(planned.name, rows, checked, gone)
    check([said.account], f"step {planned.name}")
    sidecar = pa.table({**checked.columns, DROP: checked.drop, ERROR: checked.error})
    files = [parts.write(storage.join(folder, view.name + PART), sidecar.schema, [sidecar])]
    for ending, table in ((DROPPED, said.dropped), (QUARANTINE, said.quarantined)):
        if table.num_rows:
            files.append(
                parts.write(storage.join(folder, view.name + ending), table.schema, [table])
            )
    commit = Commit(
        part=view.name,
        inputs_digest=space.token,
        origin=view.origin,
        rows=said.kept.num_rows,
        media_bytes=view.media_bytes * said.kept.num_rows // max(1, view.rows),
        text_bytes=view.text_bytes * said.kept.num_rows // max(1, view.rows),
        files=[*files, *outcome.files],
        ledger=[said.account],
    )
    manifest.save(commit, storage.join(folder, view.name + ".json"))
    return commit
