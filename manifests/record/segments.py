"""The segments (texts, images, videos) of records as flat columns, and the media that the segments
show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.columns import media_lists

MEDIA_KINDS = ("image", "video")


class Segments(NamedTuple):
    """The segments (texts, images, videos) of `records` records as columns, without texts that are
    null. `row` (n,) is the record of each segment, ascending; `structs` are the n segments."""

    records: int
    row: np.ndarray
    structs: pa.StructArray

    @classmethod
    def from_table(cls, table: pa.Table) -> Segments:
        offsets, flat = media_lists(table["content"])
        row = np.repeat(np.arange(table.num_rows), np.diff(offsets))
        keep = pc.or_(pc.invert(_is_kind(flat, "text")), pc.struct_field(flat, "text").is_valid())
        if not pc.all(keep).as_py():
            row, flat = row[np.asarray(keep)], flat.filter(keep)
        return cls(table.num_rows, row, flat)

    def field(self, name: str) -> pa.Array:
        return pc.struct_field(self.structs, name)

    def is_kind(self, *kinds: str) -> np.ndarray:
        """Returns a mask (n,) of the segments that are of one of the kinds."""
        return np.asarray(_is_kind(self.structs, *kinds))


class ShownMedia(NamedTuple):
    """The images and videos that the segments of records show, in the order of the segments. A
    medium that two segments show occurs twice.

    Row r shows `media[offsets[r] : offsets[r + 1]]`.
    """

    offsets: np.ndarray
    media: pa.StructArray


def shown_media(table: pa.Table, *kinds: str) -> ShownMedia:
    """Returns the media of the given kinds ("image", "video") that the segments of each record
    show."""
    row, index = shown_indices(table, *kinds)
    _, media = media_lists(table["media"])
    return ShownMedia(row_offsets(row, table.num_rows), media.take(pa.array(index)))


def shown_indices(table: pa.Table, *kinds: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns two arrays with a value for each segment that shows an image or a video (`kinds`):
    the row of the segment, and the index of the medium in the flattened column `media`."""
    segments, (offsets, _) = Segments.from_table(table), media_lists(table["media"])
    shows = segments.is_kind(*kinds)
    row, index = segments.row[shows], segments.field("media").filter(pa.array(shows))
    return row, offsets[row] + np.asarray(index)


def row_offsets(row: np.ndarray, rows: int) -> np.ndarray:
    """Returns offsets, (rows + 1), that divide values into one list for each row. `row` has the row
    of each value, ascending.

    `row_offsets([0, 0, 2], 3) -> [0, 2, 2, 3]`
    """
    return np.searchsorted(row, np.arange(rows + 1))


def _is_kind(segments: pa.StructArray, *kinds: str) -> pa.Array:
    return pc.is_in(pc.struct_field(segments, "kind"), pa.array(kinds))
