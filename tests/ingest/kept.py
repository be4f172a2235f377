"""Reading of a source whose media must be copied out of its files, into `kept.bin`."""

from __future__ import annotations

from pathlib import Path

from curate.ingest.reader import Context, ReadBatch, Reader
from manifests import storage
from manifests.media import Limits, Media
from tests.make import keeping, read_counted, splits

NAME = "kept.bin"


def read_kept(reader: Reader, base: Path, limits: Limits | None = None) -> list[ReadBatch]:
    """Everything that a reader makes of its source; the bytes it keeps are in `base`/kept.bin."""
    found: list[ReadBatch] = []
    media = Media(str(base), limits=limits)
    with storage.writing(str(base / NAME)) as sink:
        for split in splits(reader, str(base)):
            context = Context(str(base), media, keeping(NAME, sink))
            found += read_counted(reader, split, context)
    return found


def kept_bytes(base: Path, medium: dict[str, int]) -> bytes:
    """The bytes that a record's reference points at."""
    start = medium["offset"]
    return (base / NAME).read_bytes()[start : start + medium["length"]]
