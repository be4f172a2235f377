"""The bytes of media, read straight to where they are written from: one copy, one buffer.

Rows are read in runs that fit a record batch. Within a run the files are read in the order they
lie on disk, whatever the order of the rows. What can no longer be read is a fault of its row.
"""

from __future__ import annotations

import contextlib
import os
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
from manifests.media import FIX_MISSING_FILE, Media, Reference

MOST_ROW_BYTES = (1 << 31) - (1 << 20)
"""Of one row's media, so that 32-bit offsets and the rest of the row fit."""
OPEN_FILES = 256
PUT_IT_BACK = "Put it back as it was and run again with --retry, or leave it in quarantine."


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

    @property
    def sound_rows(self) -> list[int]:
        return [row for row in range(self.start, self.stop) if row not in self.faults]

    def piece(self, medium: int) -> memoryview:
        """The bytes of a medium, by its number among all mentions."""
        at = medium - self.first
        return self.data.data[self.offsets[at] : self.offsets[at + 1]]


def runs(shown: Mentions, row_bytes: np.ndarray, media: Media, settings: Shards) -> Iterator[Run]:
    """All rows in runs of at most `batch_rows` and `batch_bytes`, or of one larger row.

    `row_bytes`: what each row takes besides its media.
    """
    lengths, references = _lengths(shown, media), shown.references()
    row_of = np.repeat(np.arange(len(row_bytes)), np.diff(shown.offsets))
    over = _over_limits(shown, lengths, row_of, media)
    lengths[np.isin(row_of, list(over))] = 0
    ends = np.concatenate([[0], np.cumsum(lengths)])
    cuts = list(_cuts(sums(lengths, shown.offsets) + row_bytes, settings))
    spans = [(int(shown.offsets[a]), int(shown.offsets[b])) for a, b in cuts]
    room = np.empty(max((int(ends[b] - ends[a]) for a, b in spans), default=0), np.uint8)
    order = _as_on_disk(shown)
    with contextlib.closing(_Files(media)) as files:
        for (start, stop), (first, last) in zip(cuts, spans, strict=True):
            offsets = ends[first : last + 1] - ends[first]
            faults: dict[int, RowError] = {r: over[r] for r in range(start, stop) if r in over}
            run = Run(start, stop, first, room[: offsets[-1]], offsets, faults)
            places = np.argsort(order[first:last])
            files.fill(run, places.tolist(), references[first:last], row_of[first:last].tolist())
            yield run


def _lengths(shown: Mentions, media: Media) -> np.ndarray:
    """The bytes of each medium. A whole file of unstated length is asked for it."""
    stated = pc.struct_field(shown.media, "length")
    lengths = np.asarray(stated.fill_null(0)).astype(np.int64)
    unstated = np.flatnonzero(np.asarray(stated.is_null()))
    uris = pc.struct_field(shown.media, "uri").take(pa.array(unstated)).to_pylist()
    found = {uri: storage.size_and_stamp(media.resolve(uri)) for uri in set(uris)}
    lengths[unstated] = [(found[uri] or (0, 0))[0] for uri in uris]
    return lengths


def _over_limits(
    shown: Mentions, lengths: np.ndarray, row_of: np.ndarray, media: Media
) -> dict[int, LimitError]:
    """The rows with a medium, or with media together, of more bytes than allowed."""
    most, uris = media.limits.max_bytes, pc.struct_field(shown.media, "uri")
    totals = sums(lengths, shown.offsets)
    fix = "or let it go to quarantine."
    over = {
        int(row): LimitError(
            f"its media are {totals[row]} bytes; a row of a shard holds {MOST_ROW_BYTES}.",
            fix=f"Drop some of them, {fix}",
        )
        for row in np.flatnonzero(totals > MOST_ROW_BYTES)
    }
    for at in np.flatnonzero(lengths > most).tolist():
        over[int(row_of[at])] = LimitError(
            f"{lengths[at]} bytes is over the limit of {most}.",
            uris[at].as_py(),
            f"Raise media.max_bytes {fix}",
        )
    return over


def _cuts(row_bytes: np.ndarray, settings: Shards) -> Iterator[tuple[int, int]]:
    ends, start = np.cumsum(row_bytes), 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        fit = int(np.searchsorted(ends, before + settings.batch_bytes, side="right"))
        stop = max(start + 1, min(fit, start + settings.batch_rows))
        yield start, stop
        start = stop


def _as_on_disk(shown: Mentions) -> np.ndarray:
    """The rank of each medium by file, then by place in the file."""
    files = pc.struct_field(shown.media, "uri").dictionary_encode().indices
    places = pc.struct_field(shown.media, "offset").fill_null(0)
    ranks = np.empty(len(files), np.int64)
    ranks[np.lexsort((np.asarray(places), np.asarray(files)))] = np.arange(len(files))
    return ranks


class _Files:
    """Local files that stretches were read from, still open; remote ones `media` reads."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._open: dict[str, int] = {}

    def fill(
        self, run: Run, order: list[int], references: list[Reference], rows: list[int]
    ) -> None:
        """Read the media of a run into its data; rows of which one cannot be read have a fault."""
        view, ends = run.data.data, run.offsets.tolist()
        for number in order:
            row, ref = rows[number], references[number]
            if row in run.faults:
                continue
            room = view[ends[number] : ends[number + 1]]
            try:
                found = self._read(ref, room)
            except RowError as error:
                run.faults[row] = error
            except FileNotFoundError:
                run.faults[row] = MediaError("there is no such file", ref.uri, FIX_MISSING_FILE)
            except OSError as error:
                run.faults[row] = MediaError(str(error), ref.uri)
            else:
                if found != len(room):
                    run.faults[row] = _changed(ref, len(room), found)

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _read(self, ref: Reference, room: memoryview) -> int:
        """Fill the room; returns the bytes there were, which may be fewer, or others, or more."""
        if ref.offset is not None and ref.uri in self._open:
            return _fill(self._open[ref.uri], room, ref.offset)
        place = self._media.resolve(ref.uri)
        if storage.is_remote(place):
            data = self._media.read(ref)
            room[: len(data)] = data[: len(room)]
            return len(data)
        if ref.offset is not None:
            return _fill(self._keep(ref.uri, os.open(place, os.O_RDONLY)), room, ref.offset)
        with open(place, "rb", buffering=0) as whole:
            size = os.fstat(whole.fileno()).st_size
            return _fill(whole.fileno(), room, 0) if size == len(room) else size

    def _keep(self, uri: str, handle: int) -> int:
        """Runs are read file by file, so the file opened first is the one to let go of."""
        self._open[uri] = handle
        if len(self._open) > OPEN_FILES:
            os.close(self._open.pop(next(iter(self._open))))
        return handle


def _fill(handle: int, room: memoryview, start: int) -> int:
    """Read until the room is full or the file ends; returns how many bytes that was."""
    done = os.preadv(handle, [room], start)
    while done < len(room):
        got = os.preadv(handle, [room[done:]], start + done)
        if not got:
            break
        done += got
    return done


def _changed(ref: Reference, expected: int, found: int) -> MediaError:
    where = ref.uri if ref.offset is None else f"{ref.uri}@{ref.offset}"
    return MediaError(
        f"{found} bytes where {expected} were: the file has changed", where, PUT_IT_BACK
    )
