"""The file name endings of media."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.payload import Run
from curate.emit.rows import Mentions
from manifests.errors import MediaError
from manifests.header import EXTENSIONS, probe

VIDEOS = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpg",
}


def of_types(shown: Mentions) -> list[str | None]:
    """The ending of each medium by its MIME type; None where no known one is stated."""
    mimes = pc.struct_field(shown.media, "mime").dictionary_encode()
    known = EXTENSIONS | VIDEOS
    endings = pa.array([known.get(mime) for mime in mimes.dictionary.to_pylist()], pa.string())
    found: list[str | None] = endings.take(mimes.indices).to_pylist()
    return found


def complete(endings: list[str | None], shown: Mentions, run: Run) -> list[str]:
    """The endings of a run's media; those unknown are told from the bytes."""
    uris = pc.struct_field(shown.media, "uri")
    numbered = enumerate(endings[run.first : run.first + len(run.offsets) - 1], run.first)
    return [e or of_bytes(run.piece(n), uris[n].as_py()) for n, e in numbered]


def of_bytes(data: memoryview, uri: str) -> str:
    """The ending that the bytes ask for; of a video, the one its file has; else `bin`."""
    try:
        return EXTENSIONS[probe(data).mime]
    except (MediaError, KeyError):
        ending = os.path.splitext(uri)[1][1:].lower()
        return ending if ending in VIDEOS.values() else "bin"
