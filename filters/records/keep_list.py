"""Selection of records by a list of uids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests import storage
from manifests.media import Media
from manifests.step import Outcome, RowStep, reasons
from manifests.storage.keep_list import contains, is_uid, meta_uid, parse_uids, read_keep_list


class KeepList(RowStep):
    """Keep the records whose `uid` is on a list, as DataComp publishes subsets of its pools.

    The list is a .npy file of sorted 128-bit uids (dtype `u8,u8`). A record's uid is 32 hex digits
    in its `meta`: {"uid": "0000…002a"}. Records without a uid are dropped; a record with a uid of
    another form is quarantined. A local list is memory-mapped, so that workers share it.
    """

    path: str = Field(description="the .npy file; relative paths start where the run does")

    def files(self, base: str) -> tuple[str, ...]:
        return (storage.resolve(base, self.path),)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        # Row by row: `meta` is JSON text.
        uids = pa.array([meta_uid(meta) for meta in batch["meta"].to_pylist()], pa.string())
        valid = np.asarray(is_uid(uids).fill_null(False))
        listed = np.zeros(len(uids), bool)
        listed[valid] = contains(
            read_keep_list(media.resolve(self.path)), parse_uids(uids.filter(pa.array(valid)))
        )
        drop = reasons(len(uids), (uids.is_null(), "no uid"), (~listed, "not on the list"))
        invalid = pc.and_(uids.is_valid(), pa.array(~valid))
        return Outcome({}, drop, pc.if_else(invalid, _error_texts(uids), None))


def _error_texts(uids: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("uid ", uids, " is not 32 hex digits", "")
