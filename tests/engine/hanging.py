"""Steps and a reader that hang, crash or warn, named in recipes as `tests.engine.hanging:Class`."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from curate.ingest.captions.table import Table
from curate.ingest.reader import Context as ReadContext
from curate.ingest.reader import Count, ReadBatch, Split
from manifests import record
from manifests.step import (
    Columns,
    Context,
    Reshaped,
    ReshapeStep,
    RowErrors,
    RowStep,
    each_row,
)
from manifests.step.outcome import Measured
from manifests.storage import File


def _loop() -> None:
    while True:
        pass


def _slow() -> None:
    end = time.process_time() + 0.6
    while time.process_time() < end:
        pass


def _as_in_the_file() -> None:
    """Do what the file `how` in the current folder names, and the next time what its next line
    names."""
    how, _, later = Path("how").read_text().partition("\n")
    Path("how").write_text(later or how)
    WAYS[how]()


WAYS: dict[str, Callable[[], object]] = {
    "loop": _loop,
    "regex": lambda: re.match(r"(a*)*b", "a" * 60),
    "slow": _slow,  # takes 0.6 CPU seconds
    "c": lambda: sum(itertools.repeat(0)),  # never returns, and never looks at signals
    "abort": os.abort,
    "null": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "none": lambda: None,
    "file": _as_in_the_file,
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


class ReshapeHangs(ReshapeStep):
    """Make each record from itself, but hang on records whose text contains `word`."""

    how: str
    word: str = "poison"

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        if any(self.word in text for text in record.texts(batch["content"]).to_pylist()):
            WAYS[self.how]()
        return Reshaped(batch, np.arange(batch.num_rows))


class Warns(RowStep):
    """Warn and print to the standard error stream; keep every record."""

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        warnings.warn("a warning of a library", stacklevel=1)
        time.sleep(1.5)  # until Ray has passed the line on to the driver
        return {}


class HangingReader(Table):
    """Reads a table, and hangs in the method `where`, or in all, on a file whose name has `bad`. In
    `read`, it hangs after the first batch."""

    how: str
    where: str = "read"

    def read(self, split: Split, context: ReadContext) -> Iterator[ReadBatch]:
        for batch in super().read(split, context):
            yield batch
            self._hang("read", split.files[0])

    def count(self, split: Split, context: ReadContext) -> Count | None:
        self._hang("count", split.files[0])
        return super().count(split, context)

    def splits(self, file: File, context: ReadContext) -> Iterator[Split]:
        self._hang("splits", file)
        return super().splits(file, context)

    def _hang(self, where: str, file: File) -> None:
        if self.where in (where, "all") and "bad" in file.name:
            WAYS[self.how]()
