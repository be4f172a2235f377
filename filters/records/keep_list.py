"""The step `keep_list`: selects records by a list of uids."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests import storage
from manifests.errors import RowError
from manifests.record.meta_uid import meta_uid
from manifests.step import Context, Location, Measured, RowErrors, RowStep, reasons
from manifests.storage.keep_list import contains, is_uid, parse_uids, read_keep_list

_FIX = "Correct the field `uid` in the source; a record without it is dropped."


class KeepList(RowStep):
    """Keep the records whose `uid` is on a list, such as the lists in which DataComp publishes
    subsets of its pools.

    The list is a .npy file of sorted 128-bit uids (dtype `u8,u8`). A record's uid is 32 hex digits
    in its `meta`: {"uid": "0000…002a"}. Records without a uid are dropped; a record with a uid of
    another form is quarantined. `listed` is true if the uid is on the list, and null for a record
    without a uid. A local list is memory-mapped, so that workers share it.
    """

    path: Annotated[str, Location()] = Field(
        description="the .npy file; a relative path starts at the working folder"
    )

    def files(self, base: str) -> tuple[str, ...]:
        return (storage.resolve(base, self.path),)

    def reads(self) -> tuple[str, ...]:
        return ("meta",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"listed": pa.bool_()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        # Row by row: `meta` is JSON text, so each value is parsed separately.
        uids = pa.array([meta_uid(meta) for meta in batch["meta"].to_pylist()], pa.string())
        valid = np.asarray(is_uid(uids).fill_null(False))
        listed = np.zeros(len(uids), bool)
        listed[valid] = contains(
            read_keep_list(context.media.resolve(self.path)),
            parse_uids(uids.filter(pa.array(valid))),
        )
        errors = RowErrors(len(uids))
        for row in np.flatnonzero(np.asarray(uids.is_valid()) & ~valid).tolist():
            errors.add(row, RowError(f"the uid '{uids[row]}' is not 32 hex digits", fix=_FIX))
        return Measured({"listed": pa.array(listed, mask=np.asarray(uids.is_null()))}, errors)

    def decide(self, measured: pa.Table) -> pa.Array:
        listed = measured["listed"]
        rules = ((listed.is_null(), "no uid"), (pc.invert(listed), "not on the list"))
        return reasons(measured.num_rows, *rules)
