"""The errors that a user can see, all subclasses of `CurateError`. Each error has a place, a fault
and a fix."""

from __future__ import annotations

import errno
import os
import re
import traceback

from manifests.visible import without_passwords

_ADDRESS = re.compile(r"(<[^<>]*) at 0x[0-9a-fA-F]+>")
"""Finds the memory address in Python's default text of an object: `<_io.BytesIO object at
0x7f21>`."""


class CurateError(Exception):
    """The base class of all errors that a user can see.

    `fault` is what is wrong, with the value; `place` is the file, row or field; `fix` is what the
    user can do. Passwords in addresses are hidden in all three.
    """

    def __init__(self, fault: str, place: str = "", fix: str = "") -> None:
        fault = _without_addresses(without_passwords(fault))
        place, fix = without_passwords(place), without_passwords(fix)
        super().__init__(fault, place, fix)
        self.fault, self.place, self.fix = fault, place, fix

    @property
    def message(self) -> str:
        """The fault and the fix as sentences, without the place."""
        stop = "" if not self.fix or self.fault.endswith((".", "!", "?")) else "."
        return f"{self.fault}{stop} {self.fix}".rstrip()

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class RecipeError(CurateError):
    """The recipe has a mistake. This error is raised before any work starts."""


class InputError(CurateError):
    """A source cannot be read: it is absent, empty, or of a format that its reader cannot read."""


class FileError(InputError):
    """One file of a source is broken. The file is quarantined; the other files are read."""


class CountError(InputError):
    """A reader did not account for every line, row or archive member of a file. The reader must put
    each of them into a record, report it as a failure, or count it as not used. A line, row or
    member that the reader did not account for is counted as quarantined."""


class RowError(CurateError):
    """One input cannot become a record, or a step failed on one record. The input or the record is
    quarantined."""


class MediaError(RowError):
    """A media file cannot be opened: it is absent, truncated, or not an image."""


class LimitError(MediaError):
    """A media file exceeds a limit of the recipe's section `media:`."""


class TimeLimitError(RowError):
    """A record took more CPU seconds than the recipe's `max_cpu_seconds`."""


class ReplyError(RowError):
    """A model gave no usable reply to the request of a record."""


class CrashError(RowError):
    """The process crashed at a record (by SIGSEGV, SIGABRT, SIGBUS, SIGILL or SIGFPE): the fault is
    in code that is not Python."""


class StepError(CurateError):
    """A step returned an invalid result, for example with the wrong length or with an unknown
    column."""


class EndpointError(CurateError):
    """The endpoint of a model refuses all requests, for example because of the key or the name of
    the model, or it has given no reply for a long time. Replies that were received earlier are
    kept."""


class StorageError(CurateError):
    """A file could not be read or written for a reason other than its content, such as a full disk
    or a missing permission."""


class UnreadableError(StorageError):
    """One file cannot be read: it is gone, or access to it is denied. Other files can be read. If
    the file is an input of a run, it is quarantined."""


class ManifestError(CurateError):
    """A manifest (a JSON file that lists the files of a run) is missing or broken, or a file
    differs from what the manifest states about it."""


class LockError(CurateError):
    """Another run is using the same output folder."""


class BudgetError(CurateError):
    """More inputs were quarantined than the recipe's `max_quarantined` allows, or the budget of a
    request step is used up (`SpentError`)."""


class SpentError(BudgetError):
    """The budget of a request step is used up. `step` is the name of the step in the run, and
    `budget` is the name of the limit: `requests`, `tokens` or `money`. `answered` are the indices
    of the requests of a batch that already have an answer. If a step raises the error, `answered`
    are the indices of the rows that need no further request."""

    def __init__(
        self,
        fault: str,
        place: str = "",
        fix: str = "",
        step: str = "",
        budget: str = "",
        answered: tuple[int, ...] = (),
    ) -> None:
        super().__init__(fault, place, fix)
        self.args = (self.fault, self.place, self.fix, step, budget, answered)  # for pickle
        self.step, self.budget, self.answered = step, budget, answered

    def changed(
        self,
        fault: str | None = None,
        fix: str | None = None,
        answered: tuple[int, ...] | None = None,
    ) -> SpentError:
        """Returns a copy of the error. In the copy, the arguments that are not None replace the
        values of the error."""
        return SpentError(
            self.fault if fault is None else fault,
            self.place,
            self.fix if fix is None else fix,
            self.step,
            self.budget,
            self.answered if answered is None else answered,
        )


class ClusterError(CurateError):
    """The Ray cluster cannot be reached, or refuses the connection."""


class WorkerError(CurateError):
    """A worker process crashed, and the engine has used all its retries."""


_EXHAUSTED = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
"""The codes of an OSError that say that memory, open files or the disk are exhausted."""
_LOADING = ("<frozen importlib", "/ctypes/__init__.py", "/llvmlite/")
"""Parts of the paths of code that imports a module or loads a shared library."""


def is_of_environment(error: BaseException) -> bool:
    """Returns whether an error comes from the installation or from a limit of the machine, and not
    from the data that was processed: a module or library cannot be loaded, or memory, threads, open
    files or the disk are exhausted. The result is also true if the cause of the error (`raise ...
    from`) is such an error.

    Any error that was raised while a module was imported, or while a shared library was loaded,
    comes from the installation: libraries then raise errors of many classes.
    """
    if isinstance(error, MemoryError | ImportError):
        return True
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        return True
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return True
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [code.co_filename.replace(os.sep, "/") for code in codes]
    if any(part in name for name in names for part in _LOADING):
        return True
    if any(code.co_name == "<module>" for code in codes):  # Python hides the frames of importlib
        return True
    return error.__cause__ is not None and is_of_environment(error.__cause__)


def _without_addresses(text: str) -> str:
    """Removes memory addresses from a message, because they differ from run to run: `<_io.BytesIO
    object at 0x7f21>` becomes `<_io.BytesIO object>`."""
    return _ADDRESS.sub(r"\1>", text)


def foreign_message(error: BaseException) -> str:
    """Returns the message of any exception, the same in every run and on every machine.

    Memory addresses are removed, and an absolute path is shortened to its last name: `[Errno 13]
    Permission denied: '/tmp/a8f/x.jpg'` becomes `[Errno 13] Permission denied: 'x.jpg'`.
    """
    text = str(error)
    for path in (getattr(error, "filename", None), getattr(error, "filename2", None)):
        if isinstance(path, str) and os.path.isabs(path):
            text = text.replace(path, os.path.basename(path))
    return _without_addresses(text)
