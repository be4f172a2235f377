"""The results that steps return: measures, errors of rows, drop reasons, and the new records of
reshape steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.errors import (
    CrashError,
    CurateError,
    MediaError,
    RowError,
    TimeLimitError,
    foreign_message,
    is_of_environment,
)
from manifests.storage.file_entry import FileEntry

Columns = dict[str, pa.Array]
"""Columns by name. Each column has one value for each row of the batch, in order."""


TRANSIENT = (TimeoutError, ConnectionError, MediaError, TimeLimitError, CrashError)
"""Errors whose cause may be temporary: a timeout, a failed connection, a media file that is missing
or broken, a limit on CPU time, or a crash of a library (our choice)."""


class RowErrors:
    """The errors of the rows on which a step failed, for one batch. The engine quarantines these
    rows.

    Each error has a `kind`, the name of its class, such as "MediaError"; the ledger counts errors
    by kind. `later` is true if the cause of the error is temporary, such as a server that did not
    respond. A run with `--retry` processes rows with such errors again.
    """

    def __init__(self, rows: int) -> None:
        self._kinds: list[str | None] = [None] * rows
        self._messages: list[str | None] = [None] * rows
        self._later = [False] * rows

    def add(self, row: int, error: Exception, later: bool | None = None) -> None:
        """Record the error of a row. If the row already has an error, the new error is ignored.

        `later`: whether the cause is temporary. If `later` is None, the class of the error decides:
        the cause is temporary for the classes in `TRANSIENT`.
        """
        if self._kinds[row] is None:
            self._kinds[row] = type(error).__name__
            self._messages[row] = _text(error)
            self._later[row] = isinstance(error, TRANSIENT) if later is None else later

    @classmethod
    def where(cls, messages: Iterable[str | None], kind: type[CurateError] = RowError) -> RowErrors:
        """Makes errors of the class `kind` from one message for each row. A message is None if the
        row has no error: `RowErrors.where([None, "no image"])`."""
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
        """The errors as a table with one row for each row of the batch. Its columns are `kind`,
        `message` and `later`. `kind` and `message` are null if the row has no error."""
        columns = [
            pa.array(self._kinds, pa.string()),
            pa.array(self._messages, pa.string()),
            pa.array(self._later, pa.bool_()),
        ]
        return pa.table(columns, schema=ERRORS)


def _text(error: Exception) -> str:
    """Returns the message of an error as valid UTF-8 text. It returns a text for every error, even
    if the error raises another error when it is converted to text."""
    try:
        return foreign_message(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # the error cannot even be printed
        return f"{type(error).__name__} without a message"


ERRORS = pa.schema([("kind", pa.string()), ("message", pa.string()), ("later", pa.bool_())])


class Measured(NamedTuple):
    """What a row step returns for a batch: columns, and the rows on which the step failed.

    `columns` contains the measures, which the step's method `measures` names, and the record
    columns that the step rewrote, which its class variable `rewrites` names. The values of rows
    with an error are ignored.
    """

    columns: Columns
    errors: RowErrors | None = None


class Outcome(NamedTuple):
    """What the method `apply` of a corpus step returns for the rows of a part. `columns`: measures
    and rewritten columns. `drop` (string): for each row, the reason to drop the row, a short and
    fixed phrase; null to keep the row. `errors`: the rows on which the step failed. `files`: the
    files that the step wrote to `workspace.kept` for this part, for later runs."""

    columns: Columns
    drop: pa.Array | None = None
    errors: RowErrors | None = None
    files: tuple[FileEntry, ...] = ()


class Reshaped(NamedTuple):
    """The records that a reshape step made from a batch.

    `rows`: the new records. `parents` (int64): for each new record, the number of the row in the
    batch that the record was made from. `measures`: columns with one value for each new record.
    Every row of the batch must have a new record, a drop reason (`drop`) or an error (`errors`).
    """

    rows: pa.Table
    parents: np.ndarray
    measures: Mapping[str, pa.Array] = MappingProxyType({})
    """Columns of measures, with one value for each new record."""
    drop: pa.Array | None = None
    """string: for each row of the batch, the reason why no record was made from it, otherwise
    null."""
    errors: RowErrors | None = None
    """The rows of the batch on which the step failed."""


def each_row(
    batch: pa.Table,
    work: Callable[[int], None],
    errors: RowErrors,
    later: tuple[type[Exception], ...] = TRANSIENT,
) -> None:
    """Call `work(row)` once for every row number of the batch. If the call raises an error, the
    error is added to `errors` for this row.

    An error of one of the classes in `later` is recorded as temporary: the row may succeed in a
    later run. An error of the installation or of the machine (`errors.is_of_environment`), and a
    CurateError that is not a RowError, are not caught.
    """
    for row in range(batch.num_rows):
        try:
            work(row)
        except Exception as error:  # any other error is an error of that row
            is_ours = isinstance(error, CurateError) and not isinstance(error, RowError)
            if is_ours or is_of_environment(error):
                raise
            errors.add(row, error, isinstance(error, later))


def reasons(rows: int, *rules: tuple[pa.Array | pa.ChunkedArray | np.ndarray, str]) -> pa.Array:
    """Returns the drop reason of each of the `rows` rows: the reason of the first rule whose mask
    is true for the row, or null if no mask is true.

    A rule is a bool mask and a reason. A null in a mask counts as false:
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
