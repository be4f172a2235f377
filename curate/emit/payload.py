"""The bytes of media, read straight to where they are written from: one copy, one buffer.

Rows are read in runs that fit a record batch. Within a run the files are read in the order they
lie on disk, whatever the order of the rows. What can no longer be read is a fault of its row.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.rows import Mentions
from curate.emit.settings import Shards
from curate.emit.sizes import sums
from manifests import storage
from manifests.errors import LimitError, MediaError, RowError
from manifests.media import Media, Reference

MOST_ROW_BYTES = (1 << 31) - (1 << 20)
"""Of one row's media, so that 32-bit offsets and the rest of the row fit."""
OPEN_FILES = 64


class Run(NamedTuple):
    """Rows `start` to `stop`, and their media: numbers `first` and on, end to end in `data`.

    `data` is good until the next run is asked for. The media of a row with a fault are not.
    """

    start: int
    stop: int
    first: int
    data: np.ndarray
    offsets: np.ndarray
    faults: dict[int, RowError]

    def piece(self, medium: int) -> memoryview:
        """The bytes of a medium, by its number among all mentions."""
        at = medium - self.first
        return self.data.data[self.offsets[at] : self.offsets[at + 1]]


def runs(shown: Mentions, row_bytes: np.ndarray, media: Media, settings: Shards) -> Iterator[Run]:
    """All rows in runs of at most `batch_rows` and `batch_bytes`, or of one larger row.

    `row_bytes`: what each row takes besides its media.
    """
    lengths, counts = _lengths(shown, media), np.diff(shown.offsets)
    totals = sums(lengths, shown.offsets)
    oversized = totals > MOST_ROW_BYTES
    lengths[np.repeat(oversized, counts)] = 0
    ends = np.concatenate([[0], np.cumsum(lengths)])
    cuts = list(_cuts(np.where(oversized, 0, totals) + row_bytes, settings))
    spans = [(int(shown.offsets[a]), int(shown.offsets[b])) for a, b in cuts]
    room = np.empty(max((int(ends[b] - ends[a]) for a, b in spans), default=0), np.uint8)
    references = shown.references()
    row_of = np.repeat(np.arange(len(counts)), counts)
    with contextlib.closing(_Files(media)) as files:
        for (start, stop), (first, last) in zip(cuts, spans, strict=True):
            offsets = ends[first : last + 1] - ends[first]
            too_big = start + np.flatnonzero(oversized[start:stop])
            faults: dict[int, RowError] = {int(row): _over(int(totals[row])) for row in too_big}
            run = Run(start, stop, first, room[: offsets[-1]], offsets, faults)
            files.fill(run, references[first:last], row_of[first:last].tolist())
            yield run


def _lengths(shown: Mentions, media: Media) -> np.ndarray:
    """The bytes of each medium. A whole file of unstated length is asked for it."""
    stated = pc.struct_field(shown.media, "length")
    lengths = np.asarray(stated.fill_null(0)).astype(np.int64)
    unstated = np.flatnonzero(np.asarray(stated.is_null()))
    uris = pc.struct_field(shown.media, "uri").take(pa.array(unstated)).to_pylist()
    found = {uri: storage.size_and_stamp(media.place(uri)) for uri in set(uris)}
    lengths[unstated] = [(found[uri] or (0, 0))[0] for uri in uris]
    return lengths


def _cuts(row_bytes: np.ndarray, settings: Shards) -> Iterator[tuple[int, int]]:
    ends, start = np.cumsum(row_bytes), 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        fit = int(np.searchsorted(ends, before + settings.batch_bytes, side="right"))
        stop = max(start + 1, min(fit, start + settings.batch_rows))
        yield start, stop
        start = stop


def _over(size_bytes: int) -> LimitError:
    return LimitError(
        f"the media of this record are {size_bytes} bytes; a shard's row holds {MOST_ROW_BYTES}.",
        mend="Drop media of it, or let it go to quarantine.",
    )


class _Files:
    """Open local files; remote ones are read through `media`."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._open: OrderedDict[str, int] = OrderedDict()

    def fill(self, run: Run, references: list[Reference], rows: list[int]) -> None:
        """Read the media of a run into its data."""
        view, ends = run.data.data, run.offsets.tolist()
        by_place = sorted(range(len(rows)), key=lambda n: _on_disk(references[n]))
        for number in by_place:
            if rows[number] in run.faults:
                continue
            try:
                self._read(references[number], view[ends[number] : ends[number + 1]])
            except RowError as error:
                run.faults[rows[number]] = error

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, ref: Reference, room: memoryview) -> None:
        place = self._media.place(ref.uri)
        if storage.is_remote(place) or len(room) > self._media.limits.max_bytes:
            data = self._media.read(ref)
            if len(data) != len(room):
                raise _changed(ref, len(room), len(data))
            room[:] = data
            return
        try:
            found = self._fill(place, ref, room)
        except FileNotFoundError:
            raise MediaError("there is no such file", ref.uri) from None
        except OSError as error:
            raise MediaError(str(error), ref.uri) from error
        if found != len(room):
            raise _changed(ref, len(room), found)

    def _fill(self, place: str, ref: Reference, room: memoryview) -> int:
        """How many bytes there are: of a stretch, as many as were asked for at most."""
        if ref.offset is not None:
            return _pread(self._handle(place), room, ref.offset)
        handle = os.open(place, os.O_RDONLY)
        try:
            size = os.fstat(handle).st_size
            return _pread(handle, room, 0) if size == len(room) else size
        finally:
            os.close(handle)

    def _handle(self, place: str) -> int:
        if place in self._open:
            self._open.move_to_end(place)
            return self._open[place]
        handle = self._open[place] = os.open(place, os.O_RDONLY)
        if len(self._open) > OPEN_FILES:
            os.close(self._open.popitem(last=False)[1])
        return handle


def _on_disk(ref: Reference) -> tuple[str, int]:
    return ref.uri, ref.offset or 0


def _pread(handle: int, room: memoryview, offset: int) -> int:
    done = 0
    while done < len(room):
        got = os.preadv(handle, [room[done:]], offset + done)
        if not got:
            break
        done += got
    return done


def _changed(ref: Reference, expected: int, found: int) -> MediaError:
    where = ref.uri if ref.offset is None else f"{ref.uri}@{ref.offset}"
    return MediaError(f"{found} bytes where {expected} were: the file has changed", where)
