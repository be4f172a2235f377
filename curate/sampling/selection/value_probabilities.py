"""Probabilities of values, such as entities: a file of them, and the probabilities of records."""

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
    """Writes the probability of each value in each group. Returns the path of the file."""
    storage.make_folder(workspace.scratch)
    uri = storage.join(workspace.scratch, "probabilities.arrow")
    table = pa.table([_keys(group, value), pa.array(probabilities)], schema=_SCHEMA)
    parts.write(uri, _SCHEMA, [table], durable=False)
    return uri


def record_probabilities(rows: pa.Table, column: str, by: tuple[str, ...], uri: str) -> pa.Array:
    """Returns float64: the probability that at least one of a record's values is drawn, each on its
    own with the probability in the file; null for a record whose list is null.

    The file may be far longer than the values of a part, so it is filtered, not put into a dict.
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
