"""Stores the probabilities of values, such as entities, and computes those of records from them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.sampling.selection.list_counts import distinct_values, union
from curate.sampling.selection.ranking import SEPARATOR
from manifests import record, storage
from manifests.step import Workspace
from manifests.storage import parts

_SCHEMA = pa.schema([("key", pa.string()), ("probability", pa.float64())])


def write_probabilities(
    workspace: Workspace, group: pa.Array, value: pa.Array, probabilities: np.ndarray
) -> str:
    """Writes a file with the probability of each value in each group. Returns the path of the
    file."""
    storage.make_folder(workspace.scratch)
    uri = storage.join(workspace.scratch, "probabilities.arrow")
    table = pa.table([_keys(group, value), pa.array(probabilities)], schema=_SCHEMA)
    parts.write(uri, _SCHEMA, [table], durable=False)
    return uri


def record_probabilities(rows: pa.Table, column: str, by: tuple[str, ...], uri: str) -> pa.Array:
    """Returns float64: the probability that at least one of a record's values is drawn, if each
    value is drawn independently with its probability in the file `uri`. A value that is not in the
    file has the probability 0. A record whose list is null gets null.

    The file may have far more values than the part, so it is first filtered to the values of the
    part.
    """
    values = distinct_values(rows, column, by)
    keys = _keys(values["group"], values["value"])
    known = parts.read_columns(uri)
    known = known.filter(pc.is_in(known["key"], keys))
    at = pc.index_in(keys, record.one_chunk(known["key"]))
    found = record.one_chunk(known["probability"]).take(at).fill_null(0)
    row, p = np.asarray(values["row"]), np.asarray(found)
    order = np.lexsort((p, row))  # one order, so that a product has the same bits for any parts
    made = union(row[order], p[order], rows.num_rows)
    return pa.array(made, mask=np.asarray(rows[column].is_null()))


def _keys(group: pa.Array | pa.ChunkedArray, value: pa.Array | pa.ChunkedArray) -> pa.Array:
    joined = pc.binary_join_element_wise(group, value, SEPARATOR)
    return record.one_chunk(joined)
