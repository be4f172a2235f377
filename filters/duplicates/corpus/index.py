"""The index of a run: a file for each part, with the data that later runs need to drop duplicates
of the run's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES
from filters.duplicates.kinds.contract import Identity, Kind
from manifests.run.kept_index import kept_files
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

ENDING = ".index.arrow"


def write_index(
    uri: str, rows: pa.Table, stays: pa.Array, compared: Sequence[Kind | Identity]
) -> FileEntry:
    """Writes the index file of a part: the id of each record that stays, and the values by which
    later runs compare the record.

    `stays` has a bool for each row. `compared` lists the comparisons that later runs make.
    """
    # Families of images are valid in one run only: a later run computes its own from the hashes.
    names = [name for one in compared for name in one.columns if name != IMAGE_FAMILIES]
    table = rows.select(list(dict.fromkeys(("id", *names)))).filter(stays).combine_chunks()
    kept = {"id": table["id"]}
    for one in compared:
        kept |= one.index_columns(table)
    index = pa.table(kept)
    return parts.write(uri, index.schema, [index])


class IndexFiles(NamedTuple):
    """The index files of earlier runs, and how many records they hold."""

    files: tuple[str, ...]
    rows: int


def find_index_files(
    runs: tuple[str, ...], kind: str, version: int, settings: dict[str, Any]
) -> IndexFiles:
    """Returns the index files in the folders of earlier runs, if a step of the class `kind` and of
    the version `version` wrote the files with the same `settings`. Raises the errors of the
    function `kept_files`."""
    found = [f for run in runs for f in kept_files(run, kind, version, settings, ENDING)]
    return IndexFiles(tuple(file.uri for file in found), sum(file.entry.rows for file in found))
