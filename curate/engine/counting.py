"""Reads a split (a range of a file, or a group of files), and compares the number of units (lines,
rows, ...) that its reader reports with the number on disk."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import partial

from curate.engine import time_limit
from curate.ingest import evidence
from curate.ingest.reader import Context, Count, Failure, ReadBatch, Reader, Split
from manifests import record, storage
from manifests.errors import CountError, CurateError, FileError, UnreadableError
from manifests.run.counted import FILES, Counted

READ, COUNT = "read", "count"
_QUARANTINED = (FileError, UnreadableError, *time_limit.STOPPED)
"""The errors that end the reading of a split, but not the run."""
NOT_COUNTED = "inputs"
"""The name of the unit under which a split is counted if its lines, rows, ... could not be
counted."""


class CountedRead:
    """Reads one split (a range of a file, or a group of files), and counts how many of its units
    (lines, rows, ...) become records, fail or are skipped. Iterate over it once for its batches;
    after that, `counted` has the counts."""

    def __init__(self, reader: Reader, split: Split, context: Context) -> None:
        self._reader, self._split, self._context = reader, split, context
        self.records = self.used = self.failed = 0
        self.left_aside: Counter[str] = Counter()
        self.count: Count | None = None
        self._evidence = evidence.Sum()

    def __iter__(self) -> Iterator[ReadBatch]:
        """Yield the batches that the reader makes. If an error ends the reading, or if the reader
        reports fewer or more units (lines, rows, ...) than the split has, yield one more batch with
        a failure for this fault."""
        error = None
        if fault := storage.FAULTS.get(self._split.files[0].size):
            yield self._no_file(fault)
            return
        if not self._reader.counts_while_reading:
            self.count = _count(self._reader, self._split, self._context)
        try:
            for batch in self._limited(self._reader.read(self._split, self._context)):
                if batch.records.num_rows:
                    self._check_unchanged()
                self._add(batch)
                yield batch
        except _QUARANTINED as raised:
            if isinstance(raised, UnreadableError) and not self._is_input(raised.place):
                raise
            error = raised
        if self.count is None and self._reader.counts_while_reading:
            self.count = _count(self._reader, self._split, self._context)
        self.left_aside.update(self.count.left_aside if self.count else {})
        if self.count and not self.count.is_whole and self._missing() < 0:
            self.count = self.count._replace(units=self._accounted)  # more followed the fault
        if failure := self._failure(error):
            found = ReadBatch(record.SCHEMA.empty_table(), [failure])
            self._add(found)
            yield found

    def _limited(self, batches: Iterator[ReadBatch]) -> Iterator[ReadBatch]:
        """Yield the batches. Raises TimeLimitError if the reader takes too long for a batch, and
        CrashError if the process crashed at it in earlier attempts."""
        limit = time_limit.current()
        for number in itertools.count():
            work = partial(next, batches, None)
            batch = limit.call(READ, number, 0, work, time_limit.READ_FACTOR)
            if batch is None:
                return
            yield batch

    def _check_unchanged(self) -> None:
        """Raises FileError if the file has changed since it was listed, and UnreadableError if it
        was deleted. Otherwise a record could be made of parts of the old and the new content.
        Groups of small files are not checked, because each small file is read at once."""
        file, *others = self._split.files
        if others:
            return
        place = self._context.media.resolve(file.uri)
        now = storage.size_and_stamp(place)
        unit = 10**9 if storage.is_remote(place) else 1  # lists have parts of a second
        if now is None:
            fix = "Restore the file, then run again with --retry."
            raise UnreadableError("the file was deleted while it was read", place, fix)
        if (now[0], now[1] // unit) != (file.size, file.stamp // unit):
            raise FileError(
                "the file was changed while it was read.",
                place,
                "Run again when the file is complete.",
            )

    def _is_input(self, place: str) -> bool:
        """Whether a place is one of the files of the split."""
        resolve = self._context.media.resolve
        return any(resolve(file.uri) == place for file in self._split.files)

    def _no_file(self, fault: str) -> ReadBatch:
        file = self._split.files[0]
        self.count = Count(FILES, 1)  # a dangling link, a FIFO, or the like
        failure = Failure(file.name, file.uri, FileError.__name__, fault)
        batch = ReadBatch(record.SCHEMA.empty_table(), [failure])
        self._add(batch)
        return batch

    @property
    def _accounted(self) -> int:
        return self.used + self.failed + self.left_aside.total()

    @property
    def evidence(self) -> evidence.Findings:
        return self._evidence.findings

    @property
    def counted(self) -> Counted:
        count = self.count or Count(NOT_COUNTED, self._accounted)
        return Counted(
            source=self._reader.name,
            unit=count.unit,
            found=count.units,
            used=self.used,
            records=self.records,
            failed=self.failed,
            left_aside=dict(sorted(self.left_aside.items())),
            uncounted=int(self.count is None or not self.count.is_whole),
        )

    def _add(self, batch: ReadBatch) -> None:
        rows = batch.records.num_rows
        self.records += rows
        self.used += rows if batch.units is None else batch.units
        self.failed += sum(failure.units for failure in batch.failures)
        self.left_aside.update(batch.left_aside)
        self.count = batch.found or self.count
        self._evidence.add(batch.evidence)

    def _failure(self, error: CurateError | None) -> Failure | None:
        """Returns a Failure if `error`, the error that ended the reading, is not None, or if the
        reader reported fewer or more units (lines, rows, ...) than the split has; otherwise returns
        None. The Failure stands for the units that were not reported, or for one unit if the units
        of the split could not be counted."""
        missing = self._missing()
        if error is None and not missing:
            return None
        message = self._message(missing) if error is None else _lost(error)
        name = CountError if error is None else type(error)
        file = self._split.files[0]
        units = max(0, missing) if self.count else 1
        rows, later = self._rows(missing), isinstance(error, time_limit.STOPPED)
        return Failure(file.name, file.uri, name.__name__, message, units, rows, later)

    def _missing(self) -> int:
        """The number of units on disk that the reader did not report; negative if it reported more
        than there are."""
        return self.count.units - self._accounted if self.count else 0

    def _rows(self, units: int) -> int:
        """Returns an estimate of the rows that would have been made from `units` units that were
        not read: `units` times the number of records of the split divided by the number of units
        from which these records were made, but at least 1."""
        rate = self.records / self.used if self.used else 1
        return max(1, round(units * rate))

    def _message(self, missing: int) -> str:
        assert self.count is not None
        unit, found = self.count.unit, self.count.units
        return (
            f"the file has {found} {unit}, but the reader {type(self._reader).__name__} accounts "
            f"for {found - missing}: {self.used} are in {self.records} records, {self.failed} "
            f"failed, and {self.left_aside.total()} were left aside. If the file was changed while "
            "it was read, run again. Otherwise the reader has a fault: please report it."
        )


def _count(reader: Reader, split: Split, context: Context) -> Count | None:
    work = partial(reader.count, split, context)
    try:
        return time_limit.current().call(COUNT, 0, 0, work, time_limit.READ_FACTOR)
    except _QUARANTINED:  # what the file has after the fault cannot be known
        return None


def _lost(error: CurateError) -> str:
    stop = "" if error.fault.endswith((".", "!", "?")) else "."
    return f"{error.fault}{stop} The content after this error was not read. {error.fix}".strip()
