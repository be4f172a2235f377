"""How the loops are compiled, and the arrays they take."""

from __future__ import annotations

import re
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
    so the digest of all that a loop is made of is made part of that name.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            made_of_now = digest(function.__code__.co_filename)
            function.__qualname__ = f"{function.__name__}-{made_of_now}"
            return njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):
            return njit(signature, nogil=True)(function)

    return compile_it


@lru_cache
def digest(file: str) -> str:
    """Of the file of a loop, and of all files of ours that it is made of."""
    return blake2b(b"".join(f.read_bytes() for f in made_of(Path(file))), digest_size=4).hexdigest()


def made_of(file: Path) -> list[Path]:
    """The file and those of `manifests` that it imports, and that they import, in a fixed order."""
    ground, found, waiting = file.parents[1], {file}, [file]
    while waiting:
        text = waiting.pop().read_text()
        for name in re.findall(r"^from manifests\.([\w.]+) import", text, re.M):
            one = ground.joinpath(*name.split(".")).with_suffix(".py")
            if one not in found:
                found.add(one)
                waiting.append(one)
    return sorted(found)


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
