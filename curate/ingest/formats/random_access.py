"""Random access to the bytes of an input file by slicing: `source[start:stop]`.

Inputs are read, not memory-mapped. If a file becomes shorter while it is open, a slice near the end
has fewer bytes. With a memory map, the process would be killed (SIGBUS).
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

from manifests import storage

BLOCK_BYTES = 4 << 20
"""Size of one request to a remote file in bytes (our choice: large enough to make latency
negligible)."""
_MAX_BLOCKS = 4
_MIN_WINDOW, _MAX_WINDOW = 2048, 1 << 20
"""Smallest and largest size of one read of a local file in bytes (our choice, measured). The
smallest is four blocks of a tar, enough for a header and a short caption; the size is doubled with
each read while the file is read in order."""
_NEAR = 4096
"""A read that starts at most this many bytes after the end of the previous read counts as reading
in order (our choice)."""


class Window(NamedTuple):
    """`data` has the bytes of a file from position `start` to position `stop` (exclusive)."""

    data: bytes | memoryview
    start: int
    stop: int


_EMPTY = Window(b"", 0, 0)


class LocalFile:
    """A local file that is open for reading. The last two ranges that were read are kept in memory,
    because the slices that are asked for next are often in these ranges."""

    def __init__(self, path: str) -> None:
        with storage.storage_errors(path):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._size = os.fstat(self._descriptor).st_size
        weakref.finalize(self, os.close, self._descriptor)
        self._path = path
        self._window = self._before = _EMPTY
        self._window_bytes = _MIN_WINDOW

    def __len__(self) -> int:
        """The size of the file when it was opened."""
        return self._size

    def __getitem__(self, span: slice) -> bytes | memoryview:
        start, stop = span.start or 0, self._size if span.stop is None else span.stop
        for data, first, last in (self._window, self._before):
            if first <= start and stop <= last:
                return data[start - first : stop - first]
        return self._read(start, stop - start)

    def window(self, start: int) -> Window:
        """Reads a range of the file that begins at `start`. The range is 2 KiB long; while the file
        is read in order, each range is twice as long as the range before, up to 1 MiB."""
        follows = 0 <= start - self._window.stop <= _NEAR
        self._window_bytes = min(2 * self._window_bytes, _MAX_WINDOW) if follows else _MIN_WINDOW
        data = self._read(start, self._window_bytes)
        self._before, self._window = self._window, Window(data, start, start + len(data))
        return self._window

    def _read(self, start: int, length: int) -> bytes:
        try:
            return os.pread(self._descriptor, length, start)
        except OSError:
            with storage.storage_errors(self._path):
                raise


class BlockCache:
    """A remote file that is open for reading. It is fetched in blocks of `block_bytes`, and the
    last few blocks are kept in memory."""

    def __init__(self, file: Any, uri: str = "", block_bytes: int = BLOCK_BYTES) -> None:
        self._file, self._size, self._uri = file, file.size(), uri
        self._block_bytes = block_bytes
        self._blocks: OrderedDict[int, memoryview] = OrderedDict()

    def __len__(self) -> int:
        return int(self._size)

    def __getitem__(self, span: slice) -> memoryview:
        """Returns the bytes of a slice. A slice that is inside one block is cut from the block. Any
        other slice is fetched from the remote file, and is not kept in memory."""
        start, stop, _ = span.indices(self._size)
        number = start // self._block_bytes
        first = number * self._block_bytes
        if stop <= first + self._block_bytes:
            return self._block(number)[start - first : stop - first]
        return self._fetch(start, stop - start)

    def window(self, start: int) -> Window:
        """Returns the bytes from `start` to the end of the block that contains `start`. If this
        range has fewer than 2 KiB, the 2 KiB from `start` on are fetched instead."""
        number, at = divmod(start, self._block_bytes)
        data = self._block(number)[at:]
        if len(data) < _MIN_WINDOW:
            data = self[start : start + _MIN_WINDOW]
        return Window(data, start, start + len(data))

    def _block(self, number: int) -> memoryview:
        if number not in self._blocks:
            self._blocks[number] = self._fetch(number * self._block_bytes, self._block_bytes)
            if len(self._blocks) > _MAX_BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[number]

    def _fetch(self, start: int, length: int) -> memoryview:
        with storage.storage_errors(self._uri):
            return memoryview(self._file.read_at(length, start))


Source = memoryview | LocalFile | BlockCache


def window_at(source: Source, start: int) -> Window:
    """Returns a range of a file that contains the byte `start` and the bytes after `start`: at
    least 2 KiB, or fewer if the file ends before."""
    if isinstance(source, memoryview):
        return Window(source, 0, len(source))
    return source.window(start)


def open_source(uri: str) -> Source:
    """Opens a local or remote file so that its bytes can be sliced by position."""
    if storage.is_remote(uri):
        return BlockCache(storage.open_input(uri), uri)
    return LocalFile(uri)
