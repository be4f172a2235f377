"""The names that media go by in shards: `<id>-<n>.<ending>`, n counting the mentions of a row."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.payload import Run
from curate.emit.rows import Mentions
from manifests.errors import MediaError
from manifests.media.header import EXTENSIONS, probe
from manifests.record import one_chunk

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
    """The name of every mention; without an ending where its MIME type tells none."""

    names: pa.Array
    unended: np.ndarray
    shown: Mentions

    @classmethod
    def of(cls, table: pa.Table, shown: Mentions) -> Names:
        counts = np.diff(shown.offsets)
        owner = np.repeat(np.arange(len(counts)), counts)
        number = pa.array(np.arange(len(owner)) - shown.offsets[owner]).cast(pa.string())
        stems = one_chunk(table["id"]).take(pa.array(owner)), number
        mimes = pc.struct_field(shown.media, "mime").dictionary_encode()
        known = pa.array([ENDINGS.get(mime) for mime in mimes.dictionary.to_pylist()], pa.string())
        ended = pc.binary_join_element_wise(*stems, "-"), known.take(mimes.indices)
        whole = pc.binary_join_element_wise(*ended, ".", null_handling="skip")
        return cls(whole, np.asarray(ended[1].is_null()), shown)

    def read(self, run: Run) -> pa.Array:
        """The names of a run's media; the endings still unknown are told from their bytes."""
        count = len(run.offsets) - 1
        names = self.names.slice(run.first, count)
        unended = np.flatnonzero(self.unended[run.first : run.first + count])
        if not len(unended):
            return names
        whole = names.to_pylist()
        uris = pc.struct_field(self.shown.media, "uri")
        for at in unended.tolist():
            n = run.first + at
            whole[at] += "." + ending(run.piece(n), uris[n].as_py())
        return pa.array(whole, pa.string())


def ending(data: memoryview, uri: str) -> str:
    """The ending that an image's bytes ask for; of a video, the one its file has; or `bin`."""
    try:
        return EXTENSIONS[probe(data).mime]
    except (MediaError, KeyError):
        own = os.path.splitext(uri)[1][1:].lower()
        return own if own in VIDEO_ENDINGS.values() else "bin"
