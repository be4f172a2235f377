"""The hunt finds a reader that loses, repeats or changes records, although its counts balance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate import catalog
from curate.ingest.reader import Context, ReadBatch, Reader, Split
from tests.hunt.generators import GENERATORS
from tests.hunt.observe import prepare
from tests.hunt.trial import findings

MAX_SEEDS = 30
Rows = list[dict[str, Any]]
Read = Callable[[Reader, Split, Context], Iterator[ReadBatch]]


def lost(rows: Rows) -> Rows:
    return rows[:-1]


def repeated(rows: Rows) -> Rows:
    """The rows, and the last of them again with another id."""
    return [*rows, rows[-1] | {"id": rows[-1]["id"][::-1]}]


def changed(rows: Rows) -> Rows:
    """The rows with another last letter in a text or a label of the last of them, if it has any."""
    holders = [*rows[-1]["content"], *rows[-1]["objects"]]
    texts = [(one, name) for one in holders for name in ("text", "label") if one.get(name)]
    for holder, name in texts[:1]:
        holder[name] = holder[name][:-1] + ("b" if holder[name][-1] == "a" else "a")
    return rows


def spoiled(read: Read, spoil: Callable[[Rows], Rows]) -> Read:
    """The method `read` of a reader with a fault in each batch that its counts do not show."""

    def faulty(reader: Reader, split: Split, context: Context) -> Iterator[ReadBatch]:
        for batch in read(reader, split, context):
            table = batch.records
            if not table.num_rows:
                yield batch
                continue
            units = table.num_rows if batch.units is None else batch.units
            rows = spoil(table.to_pylist())
            yield batch._replace(records=pa.Table.from_pylist(rows, table.schema), units=units)

    return faulty


@pytest.mark.parametrize("reader", sorted(GENERATORS))
def test_a_reader_that_loses_repeats_or_changes_a_record_is_found(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path)
    kind = catalog.resolve_reader(reader)
    sound = kind.read
    for spoil, found in ((lost, "lost: "), (repeated, "invented: "), (changed, "invented: ")):
        monkeypatch.setattr(kind, "read", spoiled(sound, spoil))
        faults = (
            finding.fault
            for seed in range(MAX_SEEDS)
            for finding in findings(GENERATORS[reader], seed, tmp_path)
        )
        assert any(fault.startswith(found) for fault in faults), spoil.__name__
