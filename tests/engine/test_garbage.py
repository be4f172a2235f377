"""Old objects are kept from the garbage collector, and what the caller froze stays frozen."""

from __future__ import annotations

import gc

from curate.engine.garbage import only_new_objects


def test_old_objects_are_frozen_within_the_context_only() -> None:
    with only_new_objects():
        assert gc.get_freeze_count()
    assert not gc.get_freeze_count()


def test_what_the_caller_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        with only_new_objects():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
