"""Limits the CPU seconds of one call of a step or a reader, so that no record can hang a run.

Two timers of the kernel count the CPU time of this process during a call. The first timer raises an
exception between two bytecodes. C code that never returns does not notice this exception, so the
second timer ends the process. Before the process ends, a handler in C (faulthandler) marks in a
file which rows the process was working on. Ray (or, for `--inline`, `curate.supervisor`) then runs
the task again, with smaller blocks of the marked rows, until the block that hangs is a single row.
This row becomes an error.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

from curate.engine.hang_notes import Block, Note, place_of, read_notes
from manifests.errors import TimeLimitError
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
_NOT_INTERRUPTED = ("<frozen importlib", "/numba/", "/llvmlite/", "manifests/storage/", "/blobs.py")
"""Parts of the paths of code in which the exception is not raised, because it would leave something
half made: imports, the compiler, and the writing of files."""


class _OverTimeError(BaseException):
    """Raised by the timer in whatever code is running. The class does not derive from Exception, so
    that a step that catches the errors of its rows does not catch this error too."""


class TimeLimit:
    """Limits the CPU time of the calls that process one file of records. If `seconds` is 0, there
    is no limit.

    `row` is the number of the current batch's first row, which identifies the batch when the work
    is repeated. `hung` has the blocks of rows on which earlier attempts hung, so that their process
    was ended.
    """

    def __init__(self, seconds: float, hung: set[Block], note: Note | None) -> None:
        self.seconds, self._hung, self._note = seconds, hung, note
        self.row = 0
        self._sizes: dict[str, int] = {}
        for block in hung:
            self._smaller(block)

    def blocks(self, step: str, start: int, rows: int) -> list[tuple[int, int]]:
        """Divide rows `start` to `start + rows` of the batch into blocks for the step `step`.
        Return (start, rows) of each block, the last block first. Usually, there is one block with
        all rows. Blocks are smaller if the step has taken too long on an earlier block."""
        size = 1 if Block(step, self.row + start, rows) in self._hung else rows
        size = max(1, min(size, self._sizes.get(step, rows)))
        found = [(at, min(size, start + rows - at)) for at in range(start, start + rows, size)]
        return found[::-1] or [(start, rows)]

    def call(self, step: str, start: int, rows: int, work: Callable[[], T], factor: int = 0) -> T:
        """Call `work` on a block of rows, and return its result. Raises TimeLimitError if `work`
        takes too long, or if it took too long on this block in an earlier attempt.

        The time limit is the setting `seconds` times a number that grows with `rows`, or times
        `factor` if `factor` is not 0.
        """
        if not self.seconds:
            return work()
        block = Block(step, self.row + start, rows)
        seconds = self.seconds * (factor or min(max(1, rows // ROWS_PER_LIMIT), MAX_FACTOR))
        if block in self._hung:
            raise self._over(block, seconds)
        if self._note:
            self._note.begin(block)
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
        what = {0: "the next batch", 1: "this record"}.get(block.rows, f"{block.rows} records")
        return TimeLimitError(
            f"{what} took more than {seconds:g} CPU seconds.",
            fix="If it needs more time, raise max_cpu_seconds. Then run again with --retry.",
        )

    def _smaller(self, block: Block) -> None:
        size = min(block.rows, self._sizes.get(block.step, block.rows))
        self._sizes[block.step] = max(1, size // CUT)


_OFF = TimeLimit(0, set(), None)
_current = _OFF  # timers and signals belong to the process, so it has one limit at a time
_is_supervised = False


def current() -> TimeLimit:
    """The limit for the work that this process is doing."""
    return _current


@contextlib.contextmanager
def limiting(folder: str, part: str, inputs: str, seconds: float) -> Iterator[None]:
    """In a `with` block of this function, limit the CPU time of each call of a step or reader to
    `seconds`.

    `part` names the result of the block's work, and `inputs` is a digest of what the result is made
    from. Rows on which an earlier attempt at the same work hung are not tried again, if that
    attempt had the same `inputs` and the same limit.
    """
    global _current
    with contextlib.ExitStack() as stack:
        hung: set[Block] = set()
        note = None
        if _is_supervised and seconds:
            place = place_of(folder, part)
            attempt = fingerprint([inputs, seconds])
            hung = read_notes(place, attempt)
            note = stack.enter_context(contextlib.closing(Note(place, attempt)))
        _current = TimeLimit(seconds, hung, note)
        try:
            yield
        finally:
            _current = _OFF
    if note:
        note.forget()


@contextlib.contextmanager
def supervised() -> Iterator[None]:
    """In a `with` block of this function, this process may be ended if it hangs, because another
    process then repeats its work."""
    global _is_supervised
    before, _is_supervised = _is_supervised, True
    try:
        yield
    finally:
        _is_supervised = before


class _Timer:
    """Raises _OverTimeError in a `with` block after `seconds` CPU seconds. If `hard` is true, also
    ends the process if it still runs after HARD_FACTOR times `seconds`."""

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
