"""Measure a sample of the sources: each measure's distribution, and what each step would drop."""

from __future__ import annotations

import tempfile
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import reading
from curate.engine.inline import Inline
from curate.engine.passes import ReadTask, Setting
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.rows import annotated, dropped_schema, judged, select, spread
from curate.ingest.reader import Context, Failure, KeptBytes, Reader
from curate.recipe import Loaded
from manifests import record, storage
from manifests.media import KEPT, Media
from manifests.run.ledger import Account, total
from manifests.step import Outcome

_SPLITS = 16
"""Most splits of a source that a sample is taken from, spread evenly (ours)."""
_BINS = 12
_QUANTILES = {"min": 0.0, "p1": 0.01, "p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Measure(NamedTuple):
    """One measure's distribution: counts by bin, or by value where it is text."""

    name: str
    quantiles: dict[str, float]
    counts: dict[str, int]
    nulls: int


class Probed(NamedTuple):
    """What a sample says. `accounts`: every step by itself, as if none came before it."""

    rows: int
    quarantined: list[dict[str, str]]
    measures: list[Measure]
    accounts: list[Account]
    skipped: list[str]


def probe(loaded: Loaded, rows: int) -> Probed:
    """Look at about `rows` records of all sources, and let every row step measure all of them."""
    steps = [step for step in loaded.steps if step.shape == "row"]
    skipped = [step.name for step in loaded.steps if step.shape != "row"]
    with tempfile.TemporaryDirectory(prefix="curate-probe-") as folder:
        setting = Setting(loaded.base, folder, loaded.recipe.media)
        failures: list[Failure] = []
        share = max(1, rows // len(loaded.readers))
        found = [_sample(reader, setting, folder, share, failures) for reader in loaded.readers]
        sample = pa.concat_tables(found)
        measured, accounts = _measure(steps, sample, setting)
    told = [{"origin": f.origin, "error": f.error, "message": f.message} for f in failures]
    columns = [name for step in steps for name in (*step.measures, *step.step.rewrites)]
    distributions = [_distribution(name, measured[name]) for name in dict.fromkeys(columns)]
    return Probed(sample.num_rows, told, distributions, accounts, skipped)


def _sample(
    reader: Reader, setting: Setting, folder: str, rows: int, failures: list[Failure]
) -> pa.Table:
    listing = storage.join(folder, f"list-{reader.name}")
    storage.make_folder(listing)
    tasks = reading.tasks(reader, setting, listing, Inline())
    chosen = tasks[:: max(1, len(tasks) // _SPLITS)][:_SPLITS]
    each = -(-rows // len(chosen))
    return pa.concat_tables(
        [_head(reader, task, setting, folder, each, failures) for task in chosen]
    ).slice(0, rows)


def _head(
    reader: Reader,
    task: ReadTask,
    setting: Setting,
    folder: str,
    rows: int,
    failures: list[Failure],
) -> pa.Table:
    """The first rows of a split."""
    tables: list[pa.Table] = []
    media = Media(setting.base, setting.kept, setting.limits)
    with storage.writing(storage.join(folder, f"{task.part}.media")) as sink:
        keep = KeptBytes(f"{KEPT}{task.part}.media", sink)
        for found in reader.read(task.split, Context(setting.base, media, keep)):
            tables.append(found.records)
            failures += found.failures
            if sum(table.num_rows for table in tables) >= rows:
                break
    media.close()
    return pa.concat_tables([*tables, record.SCHEMA.empty_table()]).slice(0, rows)


def _measure(
    steps: list[PlannedStep], sample: pa.Table, setting: Setting
) -> tuple[pa.Table, list[Account]]:
    """The sample with every measure, and every step's account of the whole sample."""
    gone = dropped_schema(part_schema(steps))
    side = max((getattr(s.step, "image_side", None) or 0 for s in steps), default=0) or None
    media = Media(setting.base, setting.kept, setting.limits, side)
    accounts: list[Account] = []
    batches = []
    for start in range(0, sample.num_rows, 128):
        batch = sample.slice(start, 128).combine_chunks()
        for step in steps:
            outcome = _outcome(step, batch, media)
            accounts.append(select(step.name, batch, outcome, gone).account)
            batch = annotated(batch, outcome.columns)
        batches.append(batch)
        media.forget()
    media.close()
    empty = part_schema(steps).empty_table()
    return pa.concat_tables([empty, *(b.select(empty.column_names) for b in batches)]), total(
        accounts
    )


def _outcome(step: PlannedStep, batch: pa.Table, media: Media) -> Outcome:
    mask = step.concerns(batch)
    if mask is None:
        return judged(step, batch, media)
    return spread(judged(step, batch.filter(pa.array(mask)), media), mask, batch)


def _distribution(name: str, column: pa.ChunkedArray) -> Measure:
    values = record.one_chunk(column.drop_null())
    nulls = len(column) - len(values)
    if pa.types.is_list(values.type):
        values = pc.list_value_length(values)
    if not pa.types.is_integer(values.type) and not pa.types.is_floating(values.type):
        return Measure(name, {}, _by_value(values), nulls)
    numbers = np.asarray(values).astype(float)
    if not len(numbers):
        return Measure(name, {}, {}, nulls)
    quantiles = dict(zip(_QUANTILES, np.quantile(numbers, [*_QUANTILES.values()]), strict=True))
    return Measure(name, {k: float(v) for k, v in quantiles.items()}, _bins(numbers), nulls)


def _by_value(values: pa.Array) -> dict[str, int]:
    found: list[dict[str, Any]] = pc.value_counts(values).to_pylist()
    found.sort(key=lambda v: (-v["counts"], str(v["values"])))
    return {str(v["values"]): v["counts"] for v in found[:_BINS]}


def _bins(numbers: np.ndarray) -> dict[str, int]:
    """Counts in even bins up to the 99th percentile; the last bin takes what lies beyond."""
    low, high = float(numbers.min()), float(np.quantile(numbers, 0.99))
    if np.all(numbers == np.floor(numbers)):
        step = max(1, -(-(int(high) - int(low) + 1) // _BINS))
        edges = np.arange(int(low), int(high) + step + 1, step).astype(float)
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts, _ = np.histogram(np.minimum(numbers, edges[-1]), edges)
    return {
        f"{a:.4g} .. {b:.4g}": int(n) for a, b, n in zip(edges, edges[1:], counts, strict=False)
    }
