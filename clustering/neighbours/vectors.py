"""The vectors of a pool's records: those of a column, and those that earlier runs kept in faiss
indexes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import storage
from manifests.errors import StepError
from manifests.record import one_chunk
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry
from manifests.vectors.units import Present, Units, present_units

INDEX = ".retrieve.faiss"
"""The ending of a faiss index (IndexFlatIP) of the unit vectors of a part of the pool."""
IDS = ".retrieve.arrow"
"""The ending of the file of the records' ids, in the order of the vectors of the index."""
_IDS = pa.schema([("id", pa.string())])


class KeptIndex(NamedTuple):
    """An index that an earlier run kept for one part of its pool: the paths of its two files."""

    ids: str
    vectors: str


def write_index(folder: str, name: str, ids: pa.Array, units: Units) -> tuple[FileEntry, ...]:
    """Writes the index of a part: a faiss file of unit vectors, and a file of ids."""
    import faiss

    index = faiss.IndexFlatIP(units.vectors.shape[1])
    index.add(units.vectors)
    with storage.writing(storage.join(folder, name + INDEX)) as sink:
        sink.write(faiss.serialize_index(index))
    written = parts.write(storage.join(folder, name + IDS), _IDS, [pa.table([ids], schema=_IDS)])
    return sink.entry(name + INDEX, units.rows), written


def pool_vectors(
    ids: pa.ChunkedArray, column: pa.ChunkedArray, width: int, kept: tuple[KeptIndex, ...]
) -> Present:
    """Returns the vectors of a pool's records. A record without a vector in the column has the one
    that an earlier run kept for its id."""
    present = present_units(column, width)
    if not kept or len(present.rows) == len(ids):
        return present
    missing = np.setdiff1d(np.arange(len(ids)), present.rows, assume_unique=True)
    rows, found = [present.rows], [present.units]
    for one in kept:
        if not len(missing):
            break
        known_ids = one_chunk(parts.read_columns(one.ids)["id"])
        at = one_chunk(pc.index_in(ids.take(pa.array(missing)), known_ids))
        known = np.asarray(at.is_valid())
        if known.any():
            found.append(_read(one.vectors, np.asarray(at.drop_null()), width))
            rows.append(missing[known])
            missing = missing[~known]
    units = Units(*map(np.concatenate, zip(*found, strict=True)))
    every = np.concatenate(rows)
    order = np.argsort(every)
    return Present(every[order], units.take(order))


@lru_cache(maxsize=1)
def _index(uri: str) -> Any:
    """Returns a faiss index. The index that was read last stays in memory, because a part is read
    in blocks."""
    import faiss

    return faiss.deserialize_index(np.frombuffer(storage.read_bytes(uri), np.uint8))


def _read(uri: str, at: np.ndarray, width: int) -> Units:
    """Returns the unit vectors at the given positions of an index."""
    from manifests.kernels.cosine import dot_products

    index = _index(uri)
    if index.d != width:
        raise StepError(
            f"the vectors in the index of the earlier run have {index.d} values, those of this run "
            f"{width}: {uri}", "the setting 'against'", "Embed both pools with the same model.",
        )  # fmt: skip
    vectors = index.reconstruct_batch(at.astype(np.int64))
    every = np.arange(len(vectors))
    return Units(vectors, dot_products(vectors, every, every))
