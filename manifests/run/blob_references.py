"""Checks references from records to media files that the run stored: the bytes that a record refers
to must exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from manifests import storage
from manifests.media import KEPT
from manifests.run.file_names import BLOBS
from manifests.run.manifest import Commit
from manifests.storage import parts


def blobs_of(passes: Iterable[tuple[str, list[Commit]]]) -> dict[str, int]:
    """Returns the size in bytes of each media file that a run stored, by the uri that records use:
    `{"kept:00-web-1f/part-2a.media": 4096}`. `passes` has a pair for each pass of the run: the
    folder of the pass, and the commits, which are the manifests of its files."""
    return {
        f"{KEPT}{storage.base_name(folder)}/{file.name}": file.size_bytes
        for folder, commits in passes
        for commit in commits
        for file in commit.files
        if file.name.endswith(BLOBS)
    }


def broken_references(part: str, blobs: dict[str, int]) -> Iterator[str]:
    """Yields an error text for each stored media file that is missing or too short, although
    records refer to it. `part` is the path of an Arrow file of records; only its column `media` is
    read. `blobs` is the result of `blobs_of`."""
    media = parts.read_columns(part, ("media",))["media"].combine_chunks().flatten()
    fields = {name: pc.struct_field(media, name) for name in ("uri", "offset", "length")}
    kept = pa.table(fields).filter(pc.starts_with(fields["uri"], KEPT))
    ends = kept.append_column("end", pc.add(kept["offset"], kept["length"]))
    for last in ends.group_by("uri").aggregate([("end", "max")]).to_pylist():
        uri, end = last["uri"], last["end_max"]
        if uri not in blobs:
            yield f"a record refers to {uri}, which no part of the run stored"
        elif end is not None and end > blobs[uri]:
            yield f"a record refers to byte {end} of {uri}, which has {blobs[uri]} bytes"
