"""Keep the records that a list names."""

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

    The list is a .npy file of sorted 128-bit uids (dtype `u8,u8`); `uid` is 32 hex digits in the
    record's `meta`. Records without one go, and one of another form is quarantined. A local list
    is memory-mapped, so that workers share it.
    """

    path: str = Field(description="the .npy file; relative paths start where the run does")

    def files(self, base: str) -> tuple[str, ...]:
        return (storage.resolve(base, self.path),)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        # Row by row: `meta` is JSON, which has no columns.
        uids = pa.array([meta_uid(meta) for meta in batch["meta"].to_pylist()], pa.string())
        proper = np.asarray(is_uid(uids).fill_null(False))
        listed = np.zeros(len(uids), bool)
        listed[proper] = contains(
            read_keep_list(media.resolve(self.path)), parse_uids(uids.filter(pa.array(proper)))
        )
        drop = reasons(len(uids), (uids.is_null(), "no uid"), (~listed, "not on the list"))
        wrong = pc.and_(uids.is_valid(), pa.array(~proper))
        return Outcome({}, drop, pc.if_else(wrong, _error(uids), None))


def _error(uids: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise("uid ", uids, " is not 32 hex digits", "")
