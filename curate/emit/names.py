"""Names of media in shards: `<id>-<n>.<ending>`, where n counts the media that the row shows."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.payload import Block
from manifests import storage
from manifests.errors import MediaError
from manifests.media.header import EXTENSIONS, probe
from manifests.record import one_chunk
from manifests.record.segments import ShownMedia

VIDEO_ENDINGS = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpg",
}
ENDINGS = EXTENSIONS | VIDEO_ENDINGS


class Names(NamedTuple):
    """The names of all media that a shard shows. `lacks_ending`, (n,) bool, is true for a name
    whose ending is not known yet.

    The ending depends on the MIME type of the medium, or, if the MIME type is unknown, on the bytes
    after they are read.
    """

    names: pa.Array
    lacks_ending: np.ndarray
    shown: ShownMedia

    @classmethod
    def from_table(cls, table: pa.Table, shown: ShownMedia) -> Names:
        counts = np.diff(shown.offsets)
        row = np.repeat(np.arange(len(counts)), counts)
        number = pa.array(np.arange(len(row)) - shown.offsets[row]).cast(pa.string())
        stems = pc.binary_join_element_wise(one_chunk(table["id"]).take(pa.array(row)), number, "-")
        mimes = pc.struct_field(shown.media, "mime").dictionary_encode()
        known = pa.array([ENDINGS.get(mime) for mime in mimes.dictionary.to_pylist()], pa.string())
        endings = known.take(mimes.indices)
        names = pc.binary_join_element_wise(stems, endings, ".", null_handling="skip")
        return cls(names, np.asarray(endings.is_null()), shown)

    def read(self, block: Block) -> pa.Array:
        """Returns the names of the media of a block, each with its ending."""
        count = len(block.offsets) - 1
        names = self.names.slice(block.first, count)
        lacking = np.flatnonzero(self.lacks_ending[block.first : block.first + count])
        if not len(lacking):
            return names
        completed = names.to_pylist()
        uris = pc.struct_field(self.shown.media, "uri")
        for i in lacking.tolist():
            number = block.first + i
            completed[i] += "." + ending(block.media_bytes(number), uris[number].as_py())
        return pa.array(completed, pa.string())


def ending(data: memoryview, uri: str) -> str:
    """Returns the name ending for the bytes of an image. For other bytes, and for images of formats
    that EXTENSIONS lacks, returns the ending of `uri` if it is a video ending, otherwise `bin`."""
    try:
        return EXTENSIONS[probe(data).mime]
    except (MediaError, KeyError):
        own = os.path.splitext(storage.base_name(uri))[1][1:].lower()
        return own if own in VIDEO_ENDINGS.values() else "bin"
