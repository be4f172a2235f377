"""Runs a corpus step on texts in memory as the engine does, with all files that it writes."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate import catalog
from curate.engine.inline import Inline
from curate.engine.media_options import MediaOptions
from curate.engine.part_view import PartView
from curate.engine.passes import CorpusPass, RunContext, State
from curate.engine.planned import PlannedStep
from curate.engine.progress import Progress
from manifests import record, storage
from manifests.media import Limits
from manifests.step import Executor
from manifests.storage import parts

PART_ROWS = 40_000
BATCH_ROWS = 8192


class StepRun(NamedTuple):
    """`label` (rows,) int64: the row of each record's survivor; its own row if it stays.

    `cpu_seconds`: what the step alone used, in this process and the children it waited for.
    """

    label: np.ndarray
    cpu_seconds: float


def write_parts(texts: pa.ChunkedArray | pa.Array, folder: Path) -> list[PartView]:
    """Write the texts, in order, as the parts that a reader would make of them."""
    views = []
    for number, start in enumerate(range(0, len(texts), PART_ROWS)):
        own = record.one_chunk(texts.slice(start, PART_ROWS)).cast(pa.string())
        keys = [str(row) for row in range(start, start + len(own))]
        origins = pa.array(keys, pa.string())
        table = record.captions("made", keys, origins, own, None)
        uri = folder / f"part-{number:05d}.arrow"
        batches = [table.slice(at, BATCH_ROWS) for at in range(0, table.num_rows, BATCH_ROWS)]
        parts.write(str(uri), table.schema, batches)
        views.append(PartView(f"part-{number:05d}", str(uri), str(number), len(own), ""))
    return views


def run_step(
    views: Sequence[PartView], name: str, settings: dict[str, Any], executor: Executor | None = None
) -> StepRun:
    """Run the step over the parts, and read the survivor of every row."""
    with tempfile.TemporaryDirectory(dir=Path(views[0].uri).parent) as folder:
        start = _cpu_seconds()
        written = write_sidecars(views, name, settings, folder, executor)
        spent = _cpu_seconds() - start
        return StepRun(_labels(views, written, name), spent)


def write_sidecars(
    views: Sequence[PartView],
    name: str,
    settings: dict[str, Any],
    folder: str,
    executor: Executor | None = None,
) -> str:
    """Run the step over the parts. Returns the folder below `folder` with what it wrote."""
    step = PlannedStep(name, catalog.resolve_step(name).model_validate(settings))
    planned = CorpusPass(1, name, "benchmark", step, [], 0)
    media, quiet = MediaOptions("", folder, Limits()), Progress(quiet=True)
    run = RunContext(folder, folder, media, executor or Inline(), quiet)
    storage.make_folder(planned.folder(run))
    for _ in planned.work(run, planned.tasks(run, State(tuple(views)))):
        pass
    return planned.folder(run)


def _labels(views: Sequence[PartView], folder: str, name: str) -> np.ndarray:
    """The row of each record's survivor, from the files that the step wrote."""
    ids = pa.concat_arrays([record.one_chunk(v.read_columns(("id",))["id"]) for v in views])
    columns = [parts.read_columns(f"{folder}/{v.name}.arrow")[f"{name}.survivor"] for v in views]
    survivors = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    at = pa.compute.index_in(survivors, value_set=ids)
    own = np.arange(len(ids))
    return np.where(np.asarray(at.is_valid()), np.asarray(at.fill_null(0)), own).astype(np.int64)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
