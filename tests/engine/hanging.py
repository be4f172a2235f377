"""Steps and a reader that hang or warn, named in recipes as `tests.engine.hanging:Class`."""

from __future__ import annotations

import itertools
import re
import time
import warnings
from collections.abc import Callable, Iterator

import pyarrow as pa

from curate.ingest.captions.table import Table
from curate.ingest.reader import Context as ReadContext
from curate.ingest.reader import ReadBatch, Split
from manifests import record
from manifests.step import Columns, Context, RowErrors, RowStep, each_row
from manifests.step.outcome import Measured


def _loop() -> None:
    while True:
        pass


def _slow() -> None:
    end = time.process_time() + 0.6
    while time.process_time() < end:
        pass


WAYS: dict[str, Callable[[], object]] = {
    "loop": _loop,
    "regex": lambda: re.match(r"(a*)*b", "a" * 60),
    "slow": _slow,  # takes 0.6 CPU seconds
    "c": lambda: sum(itertools.repeat(0)),  # never returns, and never looks at signals
}


class Hangs(RowStep):
    """Hang on records whose text contains `word`; keep all others."""

    how: str
    word: str = "poison"

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"length": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        texts = record.texts(batch["content"]).to_pylist()
        errors = RowErrors(batch.num_rows)

        def work(row: int) -> None:
            if self.word in texts[row]:
                WAYS[self.how]()

        each_row(batch, work, errors)
        columns: Columns = {"length": pa.array([len(text) for text in texts], pa.int64())}
        return Measured(columns, errors)


class CostlyHangs(Hangs):
    """The same step, with measures that are kept."""

    costs = True

    def batch_rows(self) -> int:
        return 40


class HangsInDeciding(Hangs):
    """Measure all records, but hang when these measures are compared with the bounds."""

    def decide(self, measured: pa.Table) -> pa.Array | None:
        WAYS[self.how]()
        return None


class CostlyHangsInDeciding(HangsInDeciding):
    """The same step, with measures that are kept."""

    costs = True


class Warns(RowStep):
    """Warn and print to the standard error stream; keep every record."""

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        warnings.warn("a warning of a library", stacklevel=1)
        return {}


class HangingReader(Table):
    """Reads a table, and hangs after the first batch of a file whose name has `bad`."""

    how: str

    def read(self, split: Split, context: ReadContext) -> Iterator[ReadBatch]:
        for batch in super().read(split, context):
            yield batch
            if "bad" in split.files[0].name:
                WAYS[self.how]()
