"""Lets Python's garbage collector skip the objects that existed before a piece of work began."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def only_new_objects() -> Iterator[None]:
    """In a `with` block of this function, the garbage collector visits only objects that were made
    in the block.

    A reader makes millions of small objects, so there are many collections. Each collection would
    visit all modules and functions of the process, none of which is garbage. Nothing is done if the
    program that calls curate has frozen objects itself (`gc.freeze`), because `gc.unfreeze` at the
    end of the block would unfreeze these objects too.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
