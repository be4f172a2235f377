"""Cuts small sources into several splits and batches, as readers cut sources of gigabytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from curate.ingest.formats.json_elements import WHOLE_FILE
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import line_splits

SMALL = {
    "SPLIT_BYTES": 200,
    "MIN_SPLIT_BYTES": 200,
    "SPLIT_TAR_BYTES": 3000,
    "SPLIT_SAMPLES": 2,
    "SPLIT_ROWS": 2,
    "GROUP_FILES": 2,
    "GROUP_STEMS": 2,
    "BATCH_ROWS": 2,
    "BATCH_IMAGES": 2,
}
"""The sizes of splits and batches in modules of readers, and what they are in a small source."""


@contextmanager
def cut_small() -> Iterator[None]:
    """Reads in this block use the sizes in SMALL."""
    modules = [one for name, one in sys.modules.items() if name.startswith("curate.ingest")]
    named = [(one, name) for one in modules for name in SMALL if hasattr(one, name)]
    patches: list[Any] = [mock.patch.object(one, name, SMALL[name]) for one, name in named]
    patches.append(mock.patch.object(line_splits, "__defaults__", (SMALL["SPLIT_BYTES"],)))
    defaults = (WHOLE_FILE, SMALL["SPLIT_BYTES"])
    patches.append(mock.patch.object(array_splits, "__defaults__", defaults))
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
