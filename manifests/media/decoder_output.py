"""Captures what image decoders print, so that it appears in error messages and not on the
terminal."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator

_STDERR = 2
_ONE_AT_A_TIME = threading.Lock()  # the standard error stream belongs to the process


class Printed:
    """What an image decoder printed. `text` is the last printed line that is not blank, which names
    the cause of an error. `text` is "" until the decoder has returned, and stays "" if the decoder
    printed nothing."""

    text = ""


@contextlib.contextmanager
def decoder_output(prints: bool) -> Iterator[Printed]:
    """Hides warnings and printed lines of an image decoder in the `with` block. After the block,
    the field `text` of the yielded `Printed` has the last printed line.

    `prints` is true for a decoder that writes to the standard error stream itself, past Python. Of
    the decoders that Pillow has, only libtiff does this (Pillow 13.0, measured with damaged files
    of all formats).
    """
    printed = Printed()
    with warnings.catch_warnings(action="ignore"):
        if not prints:
            yield printed
            return
        with _ONE_AT_A_TIME, tempfile.TemporaryFile() as file, _redirected(file.fileno()):
            try:
                yield printed
            finally:
                file.seek(0)
                lines = file.read().decode(errors="replace").split("\n")
                printed.text = next((line for line in reversed(lines) if line.strip()), "")


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[None]:
    try:
        own = os.dup(_STDERR)
    except OSError:  # the process has no standard error stream
        yield
        return
    try:
        os.dup2(target, _STDERR)
        yield
    finally:
        os.dup2(own, _STDERR)
        os.close(own)
