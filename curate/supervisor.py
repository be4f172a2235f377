"""Runs a command in a child process, and starts it again if a record made it hang or crash.

The timer of `curate.engine.time_limit` ends a process whose C code does not return. Such a process,
or a process that crashes, leaves a file that names the rows on which it worked. Without this file,
the child is not started again. Finished parts are kept, and the next attempts pass over the record.
Signals to this process are passed to the child, and this process ends when the child ends.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
from collections.abc import Callable

_ENDED_BY = {
    signal.SIGPROF,  # the timer
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
}
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


def supervised(work: Callable[[], int]) -> int:
    """Run `work()` in a child process, and return its exit code. In the child process, this
    function returns too: it returns the result of `work()`.

    Only Linux can end a child process when its parent ends. On other systems, `work()` runs in this
    process, and no parent could start this process again. So the timer of this process then raises
    exceptions, and does not end the process.
    """
    if sys.platform != "linux":
        return work()
    waited = _PASSED_ON | {signal.SIGCHLD}
    place = mmap.mmap(-1, mmap.PAGESIZE)  # shared: the child writes there which note it has
    while True:
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        parent, child = os.getpid(), os.fork()
        if not child:
            ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
            return _in_child(work, place) if os.getppid() == parent else 1
        code = _wait(child, waited)
        if -code not in _ENDED_BY or not _is_noted(place):
            break
    if code < 0:  # end by the same signal, so that the caller sees which it was
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(parent, -code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
    return code


def _in_child(work: Callable[[], int], place: mmap.mmap) -> int:
    from curate.engine import time_limit

    with time_limit.supervised(place):
        return work()


def _is_noted(place: mmap.mmap) -> bool:
    """Return whether the child has left a file that names the rows on which it worked when it
    ended."""
    from curate.engine.work_notes import names_rows

    name = os.fsdecode(place[:].partition(b"\0")[0])
    return bool(name) and names_rows(name)


def _wait(child: int, waited: set[signal.Signals]) -> int:
    """Wait until the child ends, and return its exit code, negative if a signal ended it.
    Meanwhile, pass on to the child each of the signals `waited` that another process sends; signals
    from the terminal reach the child anyway."""
    while True:
        found = signal.sigwaitinfo(waited)
        if found.si_signo != signal.SIGCHLD:
            if found.si_code <= 0:  # SI_USER and the like, sigaction(2)
                os.kill(child, found.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
