"""Compiles loops over arrays with numba and caches them; makes arrays from columns of texts for
such loops."""

from __future__ import annotations

import os
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

PLAIN_LOOPS = os.environ.get("CURATE_PLAIN_LOOPS", "0") not in ("", "0")
"""Whether loops are compiled without vector instructions (see `simd`): true if the environment
variable CURATE_PLAIN_LOOPS is set, and not 0."""

inlined = njit(nogil=True)
"""A decorator for functions that compiled loops call: the code of such a function is compiled as a
part of each loop that calls it."""


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a loop with numba. numba writes the compiled loop into a cache
    folder, so each machine compiles it once; if numba cannot write the folder, each process
    compiles it once. `signature`: the numba types of the loop's arguments and result.

    numba uses a cached loop until the file of the loop changes. But a compiled loop contains
    functions of other files too. So a digest of all these files is added to the name of the
    function, under which numba caches the loop.
    """

    def compile_it(function: Callable[..., Any]) -> Any:
        try:
            function.__qualname__ = f"{function.__name__}-{digest(function.__code__.co_filename)}"
            return njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):
            return njit(signature, nogil=True)(function)

    return compile_it


@lru_cache
def digest(file: str) -> str:
    """Returns 8 hex digits: a digest of a source file and of all source files whose functions its
    compiled loops call."""
    content = b"".join(source.read_bytes() for source in source_files(Path(file)))
    return blake2b(content + bytes([PLAIN_LOOPS]), digest_size=4).hexdigest()


def source_files(file: Path) -> list[Path]:
    """Returns the file and all files of `manifests` that it imports, directly or indirectly;
    sorted."""
    manifests, found, waiting = file.parents[1], {file}, [file]
    while waiting:
        text = waiting.pop().read_text("utf-8")
        for name in re.findall(r"^ *from manifests\.([\w.]+) import", text, re.M):
            source = _module_file(manifests.joinpath(*name.split(".")))
            if source not in found:
                found.add(source)
                waiting.append(source)
    return sorted(found)


def _module_file(module: Path) -> Path:
    return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")


def buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the offsets (rows + 1) and the bytes of a string column or of a slice of a column.

    ["ab", "c"] -> [0, 2, 3], b"abc"
    """
    assert texts.type == pa.string(), texts.type
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    own = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return own, np.frombuffer(data or b"", np.uint8)


def longest(offsets: np.ndarray) -> int:
    """Returns the number of bytes of the longest text, given the offsets: [0, 2, 3] -> 2."""
    return int(np.diff(offsets).max(initial=0))
