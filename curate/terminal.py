"""Makes the output of commands safe for a terminal: all that a command prints passes through a
`Screen`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from manifests.visible import visible


class Screen:
    """A text stream that makes control characters visible.

    If the reader of a pipe has gone (`curate show out | head`), the rest of the output is not
    printed, but the command continues to its end and returns its usual exit code. If `is_output` is
    false (a stream of messages), this is done after any other error too, such as a full disk. If
    `is_output` is true, the first such error is raised as a StorageError.
    """

    def __init__(self, stream: TextIO, is_output: bool = True) -> None:
        self.stream, self._is_output = stream, is_output
        self._gone = False

    def write(self, text: str) -> int:
        shown = visible(text)
        encoding = self.stream.encoding or "utf-8"
        try:
            shown.encode(encoding)
        except UnicodeEncodeError:  # such as LANG=C
            shown = shown.encode(encoding, "backslashreplace").decode(encoding)
        self._send(lambda: self.stream.write(shown))
        return len(text)

    def flush(self) -> None:
        self._send(self.stream.flush)

    def _send(self, call: Any) -> None:
        if self._gone:
            return
        try:
            call()
        except OSError as error:
            self._gone = True
            with contextlib.suppress(OSError, ValueError):  # Python flushes again when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            if self._is_output and not isinstance(error, BrokenPipeError):
                from manifests.errors import StorageError

                fault, fix = error.strerror or str(error), "Print to another place."
                raise StorageError(fault, "the standard output", fix) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def screens() -> Iterator[None]:
    """In a `with` block, all output to stdout and stderr passes through a `Screen`."""
    out, err = Screen(sys.stdout), Screen(sys.stderr, is_output=False)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()
