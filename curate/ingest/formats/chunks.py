"""Reads a file in chunks. If the suffix of the file names a compressed format, such as `.gz`, the
chunks are decompressed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa

from manifests import storage
from manifests.errors import FileError

CHUNK_BYTES = 1 << 20
"""Largest size of a chunk in bytes (our choice)."""
_PIECE_BYTES = 1 << 14
"""Size of one read of decompressed bytes (our choice). If the file is broken, all bytes of the read
with the fault are lost."""
_KINDS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".lz4": "lz4"}
COMPRESSED = tuple(_KINDS)


def with_compressed(*suffixes: str) -> tuple[str, ...]:
    """Returns each suffix alone and with the suffixes of gzip, zstd and bzip2: `.json` -> `.json`,
    `.json.gz`, `.json.zst`, `.json.bz2`."""
    return tuple(suffix + packed for suffix in suffixes for packed in ("", ".gz", ".zst", ".bz2"))


def is_compressed(place: str) -> bool:
    return storage.filesystem(place)[1].endswith(COMPRESSED)


def read_chunks(place: str, start: int = 0, stop: int = -1) -> Iterator[bytes]:
    """Yields the bytes from position `start` to position `stop` (-1: the end of the file) in
    chunks. In a compressed file, the positions and the chunks are those of the decompressed data.

    Raises FileError for a broken compressed file.
    """
    with storage.storage_errors(place):
        if is_compressed(place):
            yield from _decompressed(place, start, stop)
            return
        system, path = storage.filesystem(place)
        with system.open_input_file(path) as handle:
            handle.seek(start)
            left = (stop if stop >= 0 else sys.maxsize) - start
            while left > 0 and (chunk := handle.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk


def _decompressed(place: str, start: int, stop: int) -> Iterator[bytes]:
    at, end = 0, stop if stop >= 0 else sys.maxsize
    with storage.open_stream(place) as stream:
        while at < end and (chunk := _next(stream, place)):
            if at + len(chunk) > start:
                yield chunk[max(start - at, 0) : end - at]
            at += len(chunk)


def _next(stream: pa.NativeFile, place: str) -> bytes:
    try:
        return bytes(stream.read(min(CHUNK_BYTES, _PIECE_BYTES)))
    except OSError as error:
        if error.errno is not None:  # an error of the disk or network, not of the data
            raise
        path = storage.filesystem(place)[1]
        kind = next((kind for end, kind in _KINDS.items() if path.endswith(end)), "compressed")
        fault = f"the {kind} file is broken: {error}."
        raise FileError(fault, fix="Compress or copy the file again.") from error
