"""How the loops are compiled, and the arrays they take."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import int32, njit, types, uint8

OFFSETS = types.Array(int32, 1, "C", readonly=True)
BYTES = types.Array(uint8, 1, "C", readonly=True)

inlined = njit(nogil=True)
"""For what the loops call: compiled into each of them."""


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compiled once a machine; once a process where no cache folder can be written.

    numba keeps a loop until the loop's own file changes. It names what it keeps by the function,
    so the digest of all that a loop may be made of is made part of that name.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        function.__qualname__ = f"{function.__name__}-{digest(Path(__file__).parent)}"
        try:
            return njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):
            return njit(signature, nogil=True)(function)

    return compile_it


@lru_cache(maxsize=1)
def digest(folder: Path) -> str:
    """Of the loops in a folder, and of the numbers they have from beside it."""
    files = [*sorted(folder.glob("*.py")), folder.parent / "code_points.py"]
    return blake2b(b"".join(f.read_bytes() for f in files), digest_size=4).hexdigest()


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The offsets (rows + 1) and bytes of a string column, which may be a slice of another."""
    assert texts.type == pa.string(), texts.type
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    own = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return own, np.frombuffer(data or b"", np.uint8)


def longest(offsets: np.ndarray) -> int:
    """Bytes of the longest text."""
    return int(np.diff(offsets).max(initial=0))
