"""The answers of steps: measures, errors by row, drop reasons, and the new records of reshape
steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.errors import CurateError, MediaError, RowError
from manifests.storage.file_entry import FileEntry

Columns = dict[str, pa.Array]
"""Columns by name; each has one value for each row of the batch, in order."""


TRANSIENT = (TimeoutError, ConnectionError, MediaError)
"""Errors whose cause may be gone the next time: no answer, no connection, a media file that is
missing or broken (ours)."""


class RowErrors:
    """The rows of a batch on which a step failed; the engine quarantines them.

    `kind` is the class of the error, such as "MediaError"; the ledger counts by it. `later`: the
    cause is transient (a server that did not answer), so `--retry` asks again for that row.
    """

    def __init__(self, rows: int) -> None:
        self._kinds: list[str | None] = [None] * rows
        self._messages: list[str | None] = [None] * rows
        self._later = [False] * rows

    def add(self, row: int, error: Exception, later: bool | None = None) -> None:
        """Record the first error of a row; further ones are ignored.

        `later`: None: whether the error is one of `TRANSIENT`.
        """
        if self._kinds[row] is None:
            self._kinds[row] = type(error).__name__
            self._messages[row] = _text(error)
            self._later[row] = isinstance(error, TRANSIENT) if later is None else later

    @classmethod
    def where(cls, messages: Iterable[str | None], kind: type[CurateError] = RowError) -> RowErrors:
        """Errors of one kind from a message for each row, None for a row without an error:
        `RowErrors.where([None, "no image"])`."""
        found = list(messages)
        errors = cls(len(found))
        for row, message in enumerate(found):
            if message is not None:
                errors.add(row, kind(message))
        return errors

    def __bool__(self) -> bool:
        return any(kind is not None for kind in self._kinds)

    @property
    def table(self) -> pa.Table:
        """Columns `kind`, `message` (null where the row has no error) and `later`."""
        columns = [
            pa.array(self._kinds, pa.string()),
            pa.array(self._messages, pa.string()),
            pa.array(self._later, pa.bool_()),
        ]
        return pa.table(columns, schema=ERRORS)


def _text(error: Exception) -> str:
    """The message of an error as text that can be stored, whatever it is."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # the error cannot even be printed
        return f"{type(error).__name__} without a message"


ERRORS = pa.schema([("kind", pa.string()), ("message", pa.string()), ("later", pa.bool_())])


class Measured(NamedTuple):
    """What a row step measured on a batch: its columns, and the rows on which it failed.

    `columns` holds the measures, named as in `measures`, and the record columns that the step
    rewrote, named as in `rewrites`. Values of rows with an error are ignored.
    """

    columns: Columns
    errors: RowErrors | None = None


class Outcome(NamedTuple):
    """What `apply` of a corpus step answers for the rows of a part."""

    columns: Columns
    drop: pa.Array | None = None
    """string: the reason to drop the row, null to keep it: a short, fixed phrase."""
    errors: RowErrors | None = None
    files: tuple[FileEntry, ...] = ()
    """Files that the step wrote to `workspace.kept` for this part, for later runs."""


class Reshaped(NamedTuple):
    """The records that a reshape step made from a batch.

    `parents` (int64): for each new record the row of the batch that it was made from. Every row of
    the batch must have a new record, a drop reason or an error.
    """

    rows: pa.Table
    parents: np.ndarray
    measures: Mapping[str, pa.Array] = MappingProxyType({})
    """One value for each new record."""
    drop: pa.Array | None = None
    """string: for each row of the batch the reason why nothing was made of it, else null."""
    errors: RowErrors | None = None
    """The rows of the batch on which the step failed."""


def each_row(
    batch: pa.Table,
    work: Callable[[int], None],
    errors: RowErrors,
    later: tuple[type[Exception], ...] = TRANSIENT,
) -> None:
    """Call `work(row)` once for every row; a row on which it raises gets an error.

    Errors of a class in `later` are transient.
    """
    for row in range(batch.num_rows):
        try:
            work(row)
        except CurateError as error:
            if not isinstance(error, RowError):
                raise
            errors.add(row, error, isinstance(error, later))
        except MemoryError:
            raise
        except Exception as error:  # whatever the row provokes is an error of that row
            errors.add(row, error, isinstance(error, later))


def reasons(rows: int, *rules: tuple[pa.Array | pa.ChunkedArray | np.ndarray, str]) -> pa.Array:
    """The drop reason of each row: that of the first rule whose mask is true, else null.

    A rule is a bool mask and its reason; a null in a mask counts as false:
    `reasons(3, ([True, False, None], "too short"), ([True, True, False], "no image"))
    -> ["too short", "no image", null]`
    """
    rule_of_row = np.full(rows, -1, np.int32)
    for number, (mask, _) in reversed(list(enumerate(rules))):
        rule_of_row[np.asarray(_false_for_null(mask))] = number
    phrases = pa.array([phrase for _, phrase in rules], pa.string())
    return phrases.take(pa.array(rule_of_row, mask=rule_of_row < 0))


def _false_for_null(mask: pa.Array | pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask
    return np.asarray(mask.fill_null(False))
