"""Measures a sample of the sources: the distribution of each measure, and what each step would
drop."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import splits, time_limit
from curate.engine.counting import CountedRead
from curate.engine.fused import FusedSteps
from curate.engine.inline import Inline
from curate.engine.media_options import MediaOptions
from curate.engine.opened import opened
from curate.engine.passes.read import ReadTask, read_task
from curate.engine.planned import PlannedStep
from curate.engine.source_check import checked_files
from curate.ingest.reader import Context, Failure, Reader
from curate.recipe import Loaded
from manifests import record, storage
from manifests.media import KEPT
from manifests.media.blobs import BlobFile
from manifests.run.ledger import Account, total

_SPLITS = 16
"""The maximum number of splits, evenly spread, from which a sample of a source is read (our
choice)."""
_BINS = 12
"""The number of bins of a histogram, about as many lines as a terminal shows (our choice)."""
_QUANTILES = {"min": 0.0, "p1": 0.01, "p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Distribution(NamedTuple):
    """The distribution of one measure over the sample. `name` is the column of the measure.

    If the values are numbers or lists, `quantiles` has the quantiles of the numbers or of the
    lengths of the lists, and `counts` how many of them are in each bin. For any other values,
    `quantiles` is empty, and `counts` states how often each of the most common values occurs.
    `nulls` is the number of rows without a value.
    """

    name: str
    quantiles: dict[str, float]
    counts: dict[str, int]
    nulls: int


class Probed(NamedTuple):
    """The results of a probe. `accounts` has, for each step, the numbers of rows that the step
    would keep, drop and quarantine if it got all rows of the sample.

    `rows` is the size of the sample. `quarantined` lists the inputs that could not be read.
    `skipped` has the steps that cannot be measured on a sample, and the reason for each.
    """

    rows: int
    quarantined: list[dict[str, str]]
    measures: list[Distribution]
    accounts: list[Account]
    skipped: dict[str, str]


def probe(loaded: Loaded, rows: int) -> Probed:
    """Read at most `rows` records (or one of each source), spread over all sources, and measure all
    of them with every row step.

    A step is skipped if it is a corpus, reshape or request step, or if it needs a measure of a
    skipped step.
    """
    skipped = _skipped(loaded.steps)
    steps = [step for step in loaded.steps if step.name not in skipped]
    seconds = loaded.recipe.max_cpu_seconds
    with (
        tempfile.TemporaryDirectory(prefix="curate-probe-") as folder,
        time_limit.limiting(folder, "probe", "", seconds),
    ):
        media = MediaOptions(loaded.base, folder, loaded.recipe.media, seconds)
        failures: list[Failure] = []
        share = max(1, rows // len(loaded.readers))
        for reader in loaded.readers:
            checked_files(reader, media)
        found = [_sample(reader, media, share, failures) for reader in loaded.readers]
        sample = pa.concat_tables(found)
        measured, accounts = _measure(FusedSteps(steps, []), sample, media, loaded.recipe.seed)
    quarantined = [{"origin": f.origin, "error": f.error, "message": f.message} for f in failures]
    columns = [name for step in steps for name in (*step.measures, *step.step.rewrites)]
    distributions = [_distribution(name, measured[name]) for name in dict.fromkeys(columns)]
    return Probed(sample.num_rows, quarantined, distributions, accounts, skipped)


def _skipped(steps: list[PlannedStep]) -> dict[str, str]:
    """Return the steps that cannot be measured on a sample, each with the reason."""
    skipped: dict[str, str] = {}
    for step in steps:
        makers = {column.rpartition(".")[0]: column for column in (*step.reads, *(step.only or {}))}
        missing = next((column for maker, column in makers.items() if maker in skipped), None)
        if step.shape == "corpus":
            skipped[step.name] = "needs the whole corpus"
        elif step.shape == "request":
            skipped[step.name] = "asks a model, which may cost money"
        elif step.shape == "reshape":
            skipped[step.name] = (
                "makes new records, so the steps after it were measured on the original records"
            )
        elif missing:
            maker = missing.rpartition(".")[0]
            skipped[step.name] = f"needs {missing}, a measure of the skipped step {maker}"
    return skipped


def _sample(reader: Reader, media: MediaOptions, rows: int, failures: list[Failure]) -> pa.Table:
    """Read at most `rows` records of a source, from the beginnings of splits spread over the
    source, and add the inputs that cannot be read to `failures`."""
    listing = storage.join(media.kept, f"list-{reader.name}")
    storage.make_folder(listing)
    found = splits.of_source(reader, media, listing, Inline(), is_checked=True)
    chosen = found[:: max(1, len(found) // _SPLITS)][:_SPLITS]
    each = -(-rows // len(chosen))
    heads = [
        _head(reader, read_task(reader, split, media.base), media, each, failures)
        for split in chosen
    ]
    return pa.concat_tables(heads).slice(0, rows)


def _head(
    reader: Reader, task: ReadTask, media: MediaOptions, rows: int, failures: list[Failure]
) -> pa.Table:
    """Read the first rows of a split, and add the inputs that cannot be read to `failures`."""
    tables = [record.SCHEMA.empty_table()]
    with (
        contextlib.closing(media.open()) as source,
        storage.writing(storage.join(media.kept, f"{task.part}.media")) as sink,
    ):
        context = Context(media.base, source, BlobFile(f"{KEPT}{task.part}.media", lambda: sink))
        for found in CountedRead(reader, task.split, context):
            tables.append(found.records)
            failures += found.failures
            if sum(table.num_rows for table in tables) >= rows:
                break
    return pa.concat_tables(tables).slice(0, rows)


def _measure(
    fused: FusedSteps, sample: pa.Table, media: MediaOptions, seed: int
) -> tuple[pa.Table, list[Account]]:
    """Return the sample with all measures, and the numbers of rows that each step would keep and
    drop."""
    accounts: list[Account] = []
    found = [fused.schema.empty_table()]
    batches = _batches(sample, fused.batch_rows)
    with (
        opened(fused.steps, media, seed) as steps,
        storage.writing(storage.join(media.kept, "probe.media")) as sink,
    ):
        blobs = BlobFile(f"{KEPT}probe.media", lambda: sink)
        for batch, results in fused.run(steps, batches, media, blobs, remove=False):
            found.append(batch)
            accounts += [result.account for result in results]
    return pa.concat_tables(found), total(accounts)


def _batches(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows).combine_chunks()


def _distribution(name: str, column: pa.ChunkedArray) -> Distribution:
    values = record.one_chunk(column.drop_null())
    nulls = len(column) - len(values)
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        values = pc.list_value_length(values)
    elif pa.types.is_nested(kind):  # Arrow cannot count values of such types
        values = pa.array([str(value) for value in values.to_pylist()], pa.string())
    if not pa.types.is_integer(values.type) and not pa.types.is_floating(values.type):
        return Distribution(name, {}, _by_value(values), nulls)
    numbers = np.asarray(values).astype(float)
    if not len(numbers):
        return Distribution(name, {}, {}, nulls)
    quantiles = dict(zip(_QUANTILES, np.quantile(numbers, [*_QUANTILES.values()]), strict=True))
    return Distribution(name, {k: float(v) for k, v in quantiles.items()}, _bins(numbers), nulls)


def _by_value(values: pa.Array) -> dict[str, int]:
    """Count the most common values; the value with the largest count comes first."""
    found: list[dict[str, Any]] = pc.value_counts(values).to_pylist()
    found.sort(key=lambda v: (-v["counts"], str(v["values"])))
    return {str(v["values"]): v["counts"] for v in found[:_BINS]}


def _bins(numbers: np.ndarray) -> dict[str, int]:
    """Divides the range from the lowest number to the 99th percentile into bins of equal width, and
    returns how many numbers are in each bin: {"0 .. 5": 12}. Larger numbers are in one more bin, up
    to the highest."""
    low, high = float(numbers.min()), float(np.quantile(numbers, 0.99))
    if np.all(numbers == np.floor(numbers)):
        step = max(1, -(-(int(high) - int(low) + 1) // _BINS))
        edges = np.arange(int(low), int(high) + step + 1, step).astype(float)
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts, _ = np.histogram(numbers, edges)
    found = {
        f"{a:.4g} .. {b:.4g}": int(n) for a, b, n in zip(edges, edges[1:], counts, strict=False)
    }
    if larger := len(numbers) - int(counts.sum()):
        found[f"{edges[-1]:.4g} .. {numbers.max():.4g}"] = larger
    return found
