"""The media bytes of a shard, read in blocks of rows directly into one buffer, without a copy.

A block of rows fits into a record batch. Within a block, media are read in their order on disk,
independent of the order of the rows. If media of a row can no longer be read, an error is recorded
for the row.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.settings import Shards
from curate.emit.sizes import sums
from manifests import storage
from manifests.errors import LimitError, MediaError, RowError, foreign_message, is_of_environment
from manifests.media import FIX_MISSING_FILE, Media, Reference, references
from manifests.record.segments import ShownMedia

MAX_ROW_BYTES = (1 << 31) - (1 << 20)
"""The largest number of media bytes in one row: the limit of 32-bit offsets, less 1 MiB for the
other columns."""
OPEN_FILES = 256
"""The maximum number of local files that stay open to read byte ranges (our choice)."""
FIX_CHANGED_FILE = (
    "Restore the original file and run again with --retry, or leave it in quarantine."
)


class Block(NamedTuple):
    """Rows `start` to `stop` - 1 of the shard, and the bytes of the images and videos that they
    show.

    Images and videos are numbered over the complete shard; the numbers of the block start at
    `first`. The bytes of the image or video with the number `first + i` are `data[offsets[i] :
    offsets[i + 1]]`; they are undefined if its row is in `faults`. The memory of `data` is
    overwritten by the next block.
    """

    start: int
    stop: int
    first: int
    data: np.ndarray
    offsets: np.ndarray
    faults: dict[int, RowError]

    @property
    def valid_rows(self) -> list[int]:
        return [row for row in range(self.start, self.stop) if row not in self.faults]

    def media_bytes(self, number: int) -> memoryview:
        i = number - self.first
        return self.data.data[self.offsets[i] : self.offsets[i + 1]]


def read_blocks(
    shown: ShownMedia, row_bytes: np.ndarray, media: Media, settings: Shards
) -> Iterator[Block]:
    """Yields all rows in blocks of at most `batch_rows` rows and `batch_bytes` bytes. A larger row
    is a separate block.

    `row_bytes` is the size of each row in bytes, without its media.
    """
    lengths, refs = _lengths(shown, media), references(shown.media)
    row_of = np.repeat(np.arange(len(row_bytes)), np.diff(shown.offsets))
    over = _over_limits(shown, lengths, row_of, media)
    lengths[np.isin(row_of, list(over))] = 0
    ends = np.concatenate([[0], np.cumsum(lengths)])
    cuts = list(_cuts(sums(lengths, shown.offsets) + row_bytes, settings))
    spans = [(int(shown.offsets[a]), int(shown.offsets[b])) for a, b in cuts]
    buffer = np.empty(max((int(ends[b] - ends[a]) for a, b in spans), default=0), np.uint8)
    ranks = _ranks_on_disk(shown)
    with contextlib.closing(_Files(media)) as files:
        for (start, stop), (first, last) in zip(cuts, spans, strict=True):
            offsets = ends[first : last + 1] - ends[first]
            faults: dict[int, RowError] = {r: over[r] for r in range(start, stop) if r in over}
            block = Block(start, stop, first, buffer[: offsets[-1]], offsets, faults)
            order = np.argsort(ranks[first:last])
            files.fill(block, order.tolist(), refs[first:last], row_of[first:last].tolist())
            yield block


def _lengths(shown: ShownMedia, media: Media) -> np.ndarray:
    """Returns the length of each image or video in bytes; 0 for a missing file."""
    stated = pc.struct_field(shown.media, "length")
    lengths = np.asarray(stated.fill_null(0)).astype(np.int64)
    unstated = np.flatnonzero(np.asarray(stated.is_null()))
    uris = pc.struct_field(shown.media, "uri").take(pa.array(unstated)).to_pylist()
    found = {uri: storage.size_and_stamp(media.resolve(uri)) for uri in set(uris)}
    lengths[unstated] = [(found[uri] or (0, 0))[0] for uri in uris]
    return lengths


def _over_limits(
    shown: ShownMedia, lengths: np.ndarray, row_of: np.ndarray, media: Media
) -> dict[int, LimitError]:
    """Returns an error, by row number, for each row that has a file of more than `max_bytes` bytes,
    or files of more than MAX_ROW_BYTES bytes in total."""
    max_bytes, uris = media.limits.max_bytes, pc.struct_field(shown.media, "uri")
    totals = sums(lengths, shown.offsets)
    fix = "or leave the record in quarantine."
    over = {
        int(row): LimitError(
            f"the media of the record have {totals[row]} bytes, but a row of a shard can have "
            f"at most {MAX_ROW_BYTES}.",
            fix=f"Remove some of the media, {fix}",
        )
        for row in np.flatnonzero(totals > MAX_ROW_BYTES)
    }
    for number in np.flatnonzero(lengths > max_bytes).tolist():
        over[int(row_of[number])] = LimitError(
            f"{lengths[number]} bytes is over the limit of {max_bytes}.",
            uris[number].as_py(),
            f"Raise media.max_bytes, {fix}",
        )
    return over


def _cuts(row_bytes: np.ndarray, settings: Shards) -> Iterator[tuple[int, int]]:
    """Divides rows into blocks that fit the limits of the settings. Yields (first row, last row +
    1) of each block. `row_bytes` is the size of each row."""
    ends, start = np.cumsum(row_bytes), 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        fit = int(np.searchsorted(ends, before + settings.batch_bytes, side="right"))
        stop = max(start + 1, min(fit, start + settings.batch_rows))
        yield start, stop
        start = stop


def _ranks_on_disk(shown: ShownMedia) -> np.ndarray:
    """Returns (n,) int64: the position of each image or video in the order in which all images and
    videos are read, which is by file, then by offset in the file."""
    files = pc.struct_field(shown.media, "uri").dictionary_encode().indices
    offsets = pc.struct_field(shown.media, "offset").fill_null(0)
    ranks = np.empty(len(files), np.int64)
    ranks[np.lexsort((np.asarray(offsets), np.asarray(files)))] = np.arange(len(files))
    return ranks


class _Files:
    """Reads media into blocks; local files from which byte ranges are read stay open."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._open: dict[str, int] = {}

    def fill(self, block: Block, order: list[int], refs: list[Reference], rows: list[int]) -> None:
        """Read the images and videos of a block. If an image or a video cannot be read, an error is
        recorded for its row.

        `refs` and `rows` have the reference and the row of each image or video. `order` has their
        indices in the order in which they are read.
        """
        view, ends = block.data.data, block.offsets.tolist()
        for number in order:
            row, ref = rows[number], refs[number]
            if row in block.faults:
                continue
            buffer = view[ends[number] : ends[number + 1]]
            try:
                size = self._read(ref, buffer)
            except RowError as error:
                block.faults[row] = error
            except FileNotFoundError:
                block.faults[row] = MediaError("there is no such file", ref.uri, FIX_MISSING_FILE)
            except OSError as error:
                if is_of_environment(error):
                    raise
                block.faults[row] = MediaError(foreign_message(error), ref.uri)
            else:
                if size != len(buffer):
                    block.faults[row] = _changed(ref, len(buffer), size)

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, ref: Reference, buffer: memoryview) -> int:
        """Reads an image or a video into the buffer. Returns how many bytes of the image or video
        the file has now. If the file has changed, this can differ from the size of the buffer."""
        if ref.offset is not None and ref.uri in self._open:
            return _fill(self._open[ref.uri], buffer, ref.offset)
        path = self._media.resolve(ref.uri)
        if storage.is_remote(path):
            data = self._media.read(ref)
            buffer[: len(data)] = data[: len(buffer)]
            return len(data)
        if ref.offset is not None:
            return _fill(self._keep_open(ref.uri, os.open(path, os.O_RDONLY)), buffer, ref.offset)
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            return _fill(file.fileno(), buffer, 0) if size == len(buffer) else size

    def _keep_open(self, uri: str, handle: int) -> int:
        """Keep a local file open for later reads. If too many files are open, the file that was
        opened first is closed: blocks are read file by file, so this file is probably no longer
        needed."""
        self._open[uri] = handle
        if len(self._open) > OPEN_FILES:
            os.close(self._open.pop(next(iter(self._open))))
        return handle


def _fill(handle: int, buffer: memoryview, start: int) -> int:
    """Reads an open file from the offset `start` until the buffer is full or the file ends. Returns
    the number of bytes read."""
    done = os.preadv(handle, [buffer], start)
    while done < len(buffer):
        count = os.preadv(handle, [buffer[done:]], start + done)
        if not count:
            break
        done += count
    return done


def _changed(ref: Reference, expected: int, found: int) -> MediaError:
    return MediaError(
        f"the file has changed: {found} bytes could be read instead of {expected}",
        ref.place,
        FIX_CHANGED_FILE,
    )
