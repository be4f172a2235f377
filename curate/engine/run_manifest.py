"""Makes the manifest of a run from its passes that are done."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

import curate
from curate.engine.passes import MeasurePass, Pass, RunContext
from curate.recipe import Loaded
from manifests.run import payer
from manifests.run.bill import Bill
from manifests.run.file_names import STEPS
from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import PassEntry, PassManifest, RunManifest
from manifests.step import RequestStep


class FinishedPass(NamedTuple):
    """A pass of which all parts are complete, its folder and its manifest."""

    planned: Pass[Any]
    folder: str
    manifest: PassManifest


def run_manifest(
    loaded: Loaded, context: RunContext, finished: Sequence[FinishedPass]
) -> RunManifest:
    """Return the manifest of a run with the passes `finished`, without shards and files."""
    entries = [_entry(done) for done in finished]
    return RunManifest(
        name=loaded.recipe.name,
        seed=loaded.recipe.seed,
        recipe=loaded.content,
        variables=loaded.kept_variables(),
        fingerprint=fingerprint([entry.fingerprint for entry in entries]),
        passes=entries,
        ledger=[account for done in finished for account in done.manifest.ledger],
        counted=[entry for done in finished for entry in done.manifest.counted],
        shards={},
        files=[],
        bills=_bills(loaded, context, finished),
        environment={
            "curate": curate.__version__,
            "python": platform.python_version(),
            "pyarrow": pa.__version__,
            "base": context.media.base,
            "executor": getattr(context.executor, "name", ""),
        },
    )


class Start(NamedTuple):
    """The start of a run: the time, the seconds of a clock that is never set back, and the CPU
    seconds of this process."""

    time: float
    monotonic: float
    cpu: float

    @classmethod
    def now(cls) -> Start:
        return cls(time.time(), time.monotonic(), time.process_time())

    def seconds_since(self) -> dict[str, Any]:
        """Return when the run began and how long it took, for its manifest."""
        return {
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.time)),
            "seconds": round(time.monotonic() - self.monotonic, 3),
            "driver_cpu_seconds": round(time.process_time() - self.cpu, 3),
        }


def request_steps(loaded: Loaded) -> list[str]:
    """Return the names of the request steps of a recipe."""
    return [planned.name for planned in loaded.steps if isinstance(planned.step, RequestStep)]


def _bills(loaded: Loaded, context: RunContext, finished: Sequence[FinishedPass]) -> list[Bill]:
    """Return the bill of each request step: what all runs in this folder have asked and paid for
    the step."""
    payers = [payer.payer_of(context.out, context.run_id, name) for name in request_steps(loaded)]
    bills = [payer.load_bill(one.bill, one.step) for one in payers]
    asked = (done for done in finished if isinstance(done.planned, MeasurePass))
    statuses = {done.planned.name: _statuses(done) for done in asked}
    for bill in bills:
        bill.tokens_per_second, bill.statuses = 0.0, statuses.get(bill.step, {})
    return bills


def _statuses(done: FinishedPass) -> dict[str, int]:
    """Return how many records have each status of a request step, the most frequent status
    first."""
    counts = Counter[str]()
    for commit in done.manifest.parts:
        counts.update(commit.detail.get("statuses", {}))
    return dict(counts.most_common())


def _entry(done: FinishedPass) -> PassEntry:
    return PassEntry(
        folder=f"{STEPS}/{done.planned.folder_name}",
        kind=done.planned.kind,
        name=done.planned.name,
        fingerprint=done.planned.fingerprint,
        digest=done.manifest.digest,
        rows=done.manifest.rows,
        parts=len(done.manifest.parts),
    )
