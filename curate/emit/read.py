"""Reads Arrow shards with pyarrow, but only the files that the manifest names."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.emit import shard_set
from manifests import storage
from manifests.errors import ManifestError
from manifests.storage.digest import stated_file


def shard_files(folder: str) -> list[str]:
    """Returns the paths of the Arrow shards of a folder, in order. Raises ManifestError if the
    folder has no manifest, or shards of another format, or if a file does not have its full
    size."""
    shards = shard_set.load(folder)
    if shards.format != "arrow":
        raise ManifestError(
            f"the folder has {shards.format} shards, not Arrow shards",
            folder,
            "Name a folder of Arrow shards.",
        )
    return [stated_file(folder, entry) for shard in shards.shards for entry in shard.files]


def read_shards(folder: str) -> Iterator[pa.Table]:
    """Yields all rows in order, as one table per record batch. Local files are memory-mapped."""
    for uri in shard_files(folder):
        try:
            with pa.ipc.open_stream(storage.open_input(uri)) as reader:
                for batch in reader:
                    yield pa.table(batch)
        except pa.ArrowInvalid as error:
            fault = f"the file is not an Arrow shard: {error}"
            raise ManifestError(fault, uri, shard_set.AGAIN) from error
