"""Shards read back with plain pyarrow: the files the manifest names, whatever else lies there."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.emit import shard_set
from manifests import storage
from manifests.errors import ManifestError


def shard_files(folder: str) -> list[str]:
    """The paths of a folder's Arrow shards, in order; each is there, in the size it should have."""
    shards = shard_set.load(folder)
    if shards.format != "arrow":
        raise ManifestError(f"these shards are {shards.format}", folder, "Name a folder of arrow.")
    return [shard_set.check(folder, entry) for shard in shards.shards for entry in shard.files]


def read_shards(folder: str) -> Iterator[pa.Table]:
    """All rows in order, a table for each record batch, mapped where the files are local."""
    for uri in shard_files(folder):
        try:
            with pa.ipc.open_stream(storage.open_input(uri)) as reader:
                for batch in reader:
                    yield pa.table(batch)
        except pa.ArrowInvalid as error:
            raise ManifestError(f"this is not a shard: {error}", uri) from error
