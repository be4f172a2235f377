"""The column `image_families`: a number for each image of a record. Images that are duplicates of
each other have the same number.

Duplicate images are found before duplicate records. The search for duplicate images writes this
column, and the search for duplicate records reads it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import Source, split_unit_ids, unit_ids
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.phases.forest import Forest
from manifests import storage
from manifests.record import media_lists
from manifests.step import Workspace

IMAGE_FAMILIES = "image_families"
"""The name of a list<uint64> column with a value for each image and video: the lowest unit id among
the duplicates of the image; null for a video, and for an image without a hash."""
_SCHEMA = pa.schema([("unit", pa.uint32()), ("family", pa.uint64())])


def write_image_families(forest: Forest, sources: int, space: Workspace) -> str:
    """Writes a file with the family (group of duplicates) of every image that has a duplicate, and
    returns the path of the file. The file has a record batch for each of the `sources` sources."""
    numbers, own = split_unit_ids(forest.units)
    columns = [pa.array(own.astype(np.uint32)), pa.array(forest.units[forest.component])]
    uri = storage.join(space.scratch, "families.arrow")
    starts = np.searchsorted(numbers, np.arange(sources + 1))
    write_batches(uri, pa.table(columns, schema=_SCHEMA), starts)
    return uri


def image_families(uri: str, source: Source, hashes: pa.ChunkedArray) -> pa.Array:
    """Returns the column `image_families` of a source: the family (group of duplicates) of each
    image of each record. An image without duplicates has a family of its own; an image without a
    hash has null.

    `uri` is the file that `write_image_families` wrote. `hashes` is the source's column of hashes,
    with a list for each record.
    """
    listed = read_batch(uri, source.number)
    offsets, flat = media_lists(hashes)
    families = unit_ids(source.number, np.arange(len(flat)))
    families[np.asarray(listed["unit"])] = np.asarray(listed["family"])
    values = pa.array(families, mask=np.asarray(flat.is_null()))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
