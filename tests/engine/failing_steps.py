"""Steps for the tests of errors: they raise, return something wrong, or are defined wrongly."""

from __future__ import annotations

import ctypes
import errno
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import UnidentifiedImageError

from manifests import record
from manifests.errors import MediaError, RowError
from manifests.step import (
    Bound,
    Columns,
    Context,
    Corpus,
    Location,
    Measured,
    Outcome,
    Reshaped,
    ReshapeStep,
    RowErrors,
    RowStep,
    Worker,
    Workspace,
    each_row,
)
from tests.engine.contract_steps import Crops, Lengths, LongerThanMean, note

FAILURES: dict[str, Exception] = {
    "os": OSError(5, "HTTP Error 500"),
    "image": UnidentifiedImageError("cannot identify image file"),
    "media": MediaError("not an image"),
    "row": RowError("no caption"),
    "value": ValueError("nonsense"),
    "key": KeyError("absent"),
    "zero": ZeroDivisionError("division by zero"),
    "connection": ConnectionError("refused"),
    "timeout": TimeoutError("too late"),
    "attribute": AttributeError("no attribute"),
    "runtime": RuntimeError("the model failed"),
    "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
}


class FailsOnOne(RowStep):
    """Raise an error on the rows whose text contains a word; ask each row once."""

    folder: Annotated[str, Location()]
    failure: str
    one_by_one: bool = True

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured | Columns:
        texts = record.texts(batch["content"]).to_pylist()
        counts = np.zeros(len(texts), np.int64)

        def ask(row: int) -> None:
            note(self.folder, "ask")
            if "poison" in texts[row]:
                raise FAILURES[self.failure]
            counts[row] = len(texts[row])

        if not self.one_by_one:
            for row in range(len(texts)):
                ask(row)
            return {"count": pa.array(counts)}
        errors = RowErrors(len(texts))
        each_row(batch, ask, errors, later=(TimeoutError,))
        return Measured({"count": pa.array(counts)}, errors)


def _raise(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def _import_broken() -> None:
    import tests.engine.broken_module  # noqa: F401


MACHINE: dict[str, Callable[[], object]] = {
    "import": lambda: importlib.import_module("no_such_module"),
    "library": lambda: ctypes.CDLL("no_such_library.so"),
    "module": lambda: importlib.import_module("tests.engine.broken_module"),
    "statement": _import_broken,
    "thread": lambda: _raise(RuntimeError("can't start new thread")),
    "files": lambda: _raise(OSError(errno.EMFILE, "Too many open files")),
    "wrapped": lambda: _raise(MediaError("no image"), ImportError("no plugin")),
}
"""Errors that come from the installation or from a limit of the machine."""


class NeedsMachine(RowStep):
    """Fail on each row, because something of the machine is missing."""

    failure: str
    one_by_one: bool = True

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        errors = RowErrors(batch.num_rows)
        if not self.one_by_one:
            MACHINE[self.failure]()

        def ask(row: int) -> None:
            MACHINE[self.failure]()

        each_row(batch, ask, errors)
        return Measured({}, errors)


class AnswersLater(RowStep):
    """Fail with a timeout until a file exists; then answer. Counts what it is asked."""

    costs: ClassVar[bool] = True

    folder: Annotated[str, Location()]

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        texts = record.texts(batch["content"]).to_pylist()
        up = Path(self.folder, "up").exists()
        errors = RowErrors(len(texts))
        for row, text in enumerate(texts):
            note(self.folder, "ask")
            if "poison" in text and not up:
                errors.add(row, TimeoutError("no answer"), later=True)
        return Measured({"count": pa.array([len(text) for text in texts], pa.int64())}, errors)


class UndeclaredCrops(Crops):
    """As `Crops`, without the declaration that it stores bytes."""

    stores_bytes: ClassVar[bool] = False


class Both(ReshapeStep):
    """Keep every record, and drop it as well."""

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        drop = pa.repeat("too many", batch.num_rows)
        return Reshaped(batch, np.arange(batch.num_rows), drop=drop)


class NoId(ReshapeStep):
    """Make records without an id."""

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        at = batch.schema.get_field_index("id")
        rows = batch.set_column(at, "id", pa.nulls(batch.num_rows, pa.string()))
        return Reshaped(rows, np.arange(batch.num_rows))


class ReturnsTable(ReshapeStep):
    """Return a table in place of a Reshaped."""

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        return batch


class Fails(RowStep):
    """Raise in the method that `where` names."""

    costs: ClassVar[bool] = True

    where: str

    def load(self, worker: Worker) -> Any:
        if self.where == "load":
            raise RuntimeError("no weights")
        return self

    def close(self) -> None:
        if self.where == "close":
            raise RuntimeError("no way out")

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        if self.where == "dict":
            return [0] * batch.num_rows  # type: ignore[return-value]
        if self.where == "names":
            return {"number": pa.array([0] * batch.num_rows, pa.int64())}
        if self.where == "columns":
            return {"count": [0] * batch.num_rows}  # type: ignore[dict-item]
        return {"count": pa.array([0] * batch.num_rows, pa.int64())}

    def decide(self, measured: pa.Table) -> pa.Array:
        if self.where == "decide":
            raise KeyError("absent")
        return pc.greater(measured["count"], 0) if self.where == "mask" else None


class FitFails(LongerThanMean):
    """Raise in `fit` or `apply`, as `where` says."""

    where: str

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> float:
        if self.where == "fit":
            raise RuntimeError("no mean")
        return 0.0

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        if self.where == "outcome":
            return {}  # type: ignore[return-value]
        raise RuntimeError("no answer")


class Unbounded(Lengths):
    """A bound that has no default."""

    most: Annotated[int, Bound()]


class OldForm(RowStep):
    """A step as they were written before."""

    measures: ClassVar[Any] = {"count": pa.int64()}

    def __call__(self, batch: pa.Table, media: Any) -> Any:
        return None
