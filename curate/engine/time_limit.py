"""Limits the CPU seconds of one call of a step or a reader, and passes over rows on which the
process crashed, so that no record can hang or end a run.

Two timers of the kernel count the CPU time of this process during a call. The first timer raises an
exception between two bytecodes. C code that never returns does not notice this exception, so the
second timer ends the process. Before the process ends, a handler in C (faulthandler) marks in a
file which rows the process was working on. It does the same when the process crashes. Ray (or, for
`--inline`, `curate.supervisor`) then runs the task again, with smaller blocks of the marked rows,
until the block that hangs or crashes is a single row. This row becomes an error.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple, TypeVar

from curate.engine.work_notes import Block, Ended, Note, read_notes
from manifests import storage
from manifests.errors import CrashError, StepError, TimeLimitError
from manifests.run.fingerprint import fingerprint

T = TypeVar("T")

READ_FACTOR = 20
"""The limit for a batch of a reader, as a multiple of `max_cpu_seconds`. It is high because a batch
has thousands of records, and the first batch may need an index of the whole file (our choice)."""
ROWS_PER_LIMIT, MAX_FACTOR = 8, 4
"""The limit for a block of rows is `max_cpu_seconds` for each 8 of its rows, but at most 4 times
`max_cpu_seconds` (our choice). So a hang in a batch of thousands of rows is found soon, and the
batches of a slow model are not cut."""
HARD_FACTOR = 2
"""A process is ended after this many times the limit, if an exception cannot stop its code, such as
a loop in C (our choice)."""
CUT = 64
"""After a block took too long, the step gets blocks that are this many times smaller in the rest of
the part (our choice)."""
AGAIN_SECONDS = 1.0
"""CPU seconds after which the exception is raised once more, if something caught it (our
choice)."""
CRASHES = 2
"""Rows become errors only if the process crashed on them this often (our choice): a worker of Ray
may abort because its cluster is shut down, and then its rows are not to blame."""
MAX_ENDED = 64
"""If the process ended more often than this during one part, the step is considered broken (our
choice: 16 rows, each in another batch, and two crashes of the batch and of the row)."""
STOPPED = (TimeLimitError, CrashError)
"""The errors of a call that took too long, or that ended the process in earlier attempts."""
_NOT_INTERRUPTED = ("<frozen importlib", "/numba/", "/llvmlite/", "manifests/storage/", "/blobs.py")
"""Parts of the paths of code in which the exception is not raised, because it would leave something
half made: imports, the compiler, and the writing of files."""


class _OverTimeError(BaseException):
    """Raised by the timer in whatever code is running. The class does not derive from Exception, so
    that a step that catches the errors of its rows does not catch this error too."""


class NotedError(Exception):
    """Raised at the start of an attempt if the process of the last attempt ended, and its note (a
    file on disk) names the rows that it was working on. The work must then be repeated, even if it
    was already repeated often."""


class TimeLimit:
    """Limits the CPU time of the calls that process one file of records. If `seconds` is 0, there
    is no limit.

    `row` is the number of the current batch's first row, which identifies the batch when the work
    is repeated. `ended` has the blocks of rows during which the processes of earlier attempts
    ended, because they hung or crashed.
    """

    def __init__(self, seconds: float, ended: list[Ended], note: Note | None) -> None:
        self.seconds, self._note = seconds, note
        times = Counter(one.block for one in ended)
        counted = [one for one in ended if not one.crash or times[one.block] >= CRASHES]
        self._ended = {one.block: one.crash for one in counted}
        self.row = 0
        self._sizes: dict[str, int] = {}
        for block, crash in self._ended.items():
            if not crash:
                self._smaller(block)

    def blocks(self, step: str, start: int, rows: int) -> list[tuple[int, int]]:
        """Divide rows `start` to `start + rows - 1` of the batch into blocks for the step `step`.
        Return (start, rows) of each block, the last block first. Usually, there is one block with
        all rows. Blocks are smaller if the step has taken too long on an earlier block. Each block
        is a single row if the step hung or crashed on exactly these rows in an earlier attempt."""
        size = 1 if Block(step, self.row + start, rows) in self._ended else rows
        size = max(1, min(size, self._sizes.get(step, rows)))
        found = [(at, min(size, start + rows - at)) for at in range(start, start + rows, size)]
        return found[::-1] or [(start, rows)]

    def call(self, step: str, start: int, rows: int, work: Callable[[], T], factor: int = 0) -> T:
        """Call `work` on a block of rows, and return its result. Raises TimeLimitError if `work`
        takes too long, or if it took too long on this block in an earlier attempt, and CrashError
        if the process crashed on this block in earlier attempts.

        The time limit is the setting `seconds` times a number that grows with `rows`, or times
        `factor` if `factor` is not 0.
        """
        block = Block(step, self.row + start, rows)
        seconds = self.seconds * (factor or min(max(1, rows // ROWS_PER_LIMIT), MAX_FACTOR))
        if crash := self._ended.get(block):
            raise _crashed(block, crash)
        if block in self._ended:
            raise self._over(block, seconds)
        if not self._note:
            return self._timed(block, seconds, work)
        self._note.begin(block)
        try:
            return self._timed(block, seconds, work)
        finally:
            self._note.end()

    def _timed(self, block: Block, seconds: float, work: Callable[[], T]) -> T:
        if not seconds:
            return work()
        timer = _Timer(seconds, hard=self._note is not None)
        try:
            with timer:
                made = work()
        except (_OverTimeError, Exception):
            if not timer.is_over:
                raise
        finally:
            timer.stop()  # again: the timer may have raised its exception in `__exit__`
        if timer.is_over:  # the result may contain the exception, as the error of a row
            raise self._over(block, seconds) from None
        return made

    def _over(self, block: Block, seconds: float) -> TimeLimitError:
        self._smaller(block)
        return TimeLimitError(
            f"{_what(block)} took more than {seconds:g} CPU seconds.",
            fix="If it needs more time, raise max_cpu_seconds. Then run again with --retry.",
        )

    def _smaller(self, block: Block) -> None:
        size = min(block.rows, self._sizes.get(block.step, block.rows))
        self._sizes[block.step] = max(1, size // CUT)


def _crashed(block: Block, crash: str) -> CrashError:
    return CrashError(
        f"the process crashed at {_what(block)}: {crash}.",
        fix="The fault is in code that is not Python, such as a decoder. When it is mended, run "
        "again with --retry.",
    )


def _what(block: Block) -> str:
    return {0: "the next batch", 1: "this record"}.get(block.rows, f"{block.rows} records")


class _Supervision(NamedTuple):
    """States how another process repeats the work if this process hangs or crashes. `place` is
    memory that both processes share, for the path of the note, the file that names the rows this
    process is working on; None if there is no such memory. `repeats` is true if the other process
    also repeats work that raises NotedError."""

    place: mmap.mmap | None
    repeats: bool


_OFF = TimeLimit(0, [], None)
_current = _OFF  # timers and signals belong to the process, so it has one limit at a time
_supervision: _Supervision | None = None


def current() -> TimeLimit:
    """The time limit that `limiting` has set in this process; no limit outside its `with` block."""
    return _current


@contextlib.contextmanager
def limiting(folder: str, part: str, inputs: str, seconds: float) -> Iterator[None]:
    """In a `with` block of this function, limit the CPU time of each call of a step or reader; see
    `TimeLimit.call` for how the limit follows from `seconds`.

    `part` is the name of the result that is made in the `with` block, and `inputs` is a digest of
    what the result is made from. Rows on which earlier attempts at the same work hung, or crashed
    CRASHES times, are not tried again, if those attempts had the same `inputs` and the same limit.
    """
    if _supervision is None:
        with _limited_by(TimeLimit(seconds, [], None)):
            yield
        return
    place = _place_of(folder, part)
    attempt = fingerprint([inputs, seconds])
    with storage.storage_errors(place):
        ended, is_new = read_notes(place, attempt)
        if is_new and _supervision.repeats:
            raise NotedError
        note = Note(place, attempt)
    try:
        with contextlib.closing(note), _stated(place):
            if len(ended) > MAX_ENDED:
                raise _broken(ended)
            with _limited_by(TimeLimit(seconds, ended, note)):
                yield
    except StepError:
        note.forget()  # when the step is mended, all rows are tried again
        raise
    note.forget()


@contextlib.contextmanager
def _limited_by(limit: TimeLimit) -> Iterator[None]:
    global _current
    before, _current = _current, limit
    try:
        yield
    finally:
        _current = before


def _broken(ended: list[Ended]) -> StepError:
    block, crash = ended[-1]
    return StepError(
        f"the process ended {len(ended)} times while the step worked on one part; the last cause "
        f"was {crash or 'a call of C code that did not return'}",
        f"step {block.step}",
    )


def _place_of(folder: str, part: str) -> str:
    """Returns the path of a file that a process writes while it works on `part`: it names the rows
    that the process works on. The file is in `folder`, or on the disk of this machine if `folder`
    is on object storage."""
    if not storage.is_remote(folder):
        return storage.join(folder, f".{part}.work")
    name = fingerprint([folder, part])
    return os.path.join(tempfile.gettempdir(), f".curate-{os.getuid()}-{name}.work")


@contextlib.contextmanager
def _stated(place: str) -> Iterator[None]:
    """In a `with` block of this function, the memory that is shared with the supervising process
    has `place`, the path of the note. The note is a file that names the rows this process is
    working on."""
    shared = _supervision.place if _supervision else None
    if shared is None:
        yield
        return
    data = os.fsencode(place)
    shared[: len(data) + 1] = data + b"\0"
    try:
        yield
    finally:
        shared[0] = 0


@contextlib.contextmanager
def supervised(place: mmap.mmap | None = None, repeats: bool = False) -> Iterator[None]:
    """In a `with` block of this function, another process repeats the work if this process hangs or
    crashes.

    While this process works, it keeps a note: a file that names the rows it is working on. The path
    of the note is written to `place`, memory that both processes share. If `repeats` is true, the
    other process also repeats work that raises NotedError.
    """
    global _supervision
    before, _supervision = _supervision, _Supervision(place, repeats)
    try:
        yield
    finally:
        _supervision = before


class _Timer:
    """Raises _OverTimeError in a `with` block if the block takes more than `seconds` CPU seconds.
    If `hard` is true, also ends the process if it still runs after HARD_FACTOR times `seconds`."""

    def __init__(self, seconds: float, hard: bool) -> None:
        self.is_over = False
        self._seconds, self._hard = seconds, seconds * HARD_FACTOR if hard else 0.0
        self._is_main = threading.current_thread() is threading.main_thread()
        self._before = signal.getsignal(signal.SIGVTALRM)

    def __enter__(self) -> None:
        if self._is_main:  # Python handles signals in the main thread only
            signal.signal(signal.SIGVTALRM, self._raise)
            signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds, AGAIN_SECONDS)
        signal.setitimer(signal.ITIMER_PROF, self._hard)

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if self._is_main:
            signal.signal(signal.SIGVTALRM, self._before)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        while frame is not None:
            name = frame.f_code.co_filename
            if any(part in name for part in _NOT_INTERRUPTED):
                signal.setitimer(signal.ITIMER_PROF, self._hard)  # it does return to Python
                return
            frame = frame.f_back
        self.is_over = True
        raise _OverTimeError
