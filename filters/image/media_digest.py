"""What the bytes of images and videos are, as a digest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import MediaError
from manifests.media import Media, Reference
from manifests.record import MEDIA, media_lists
from manifests.step import Outcome, RowStep
from manifests.storage.digest import bytes_digest

_DIGEST = MEDIA.get_field_index("digest")


class MediaDigest(RowStep):
    """Write the digest of its bytes beside each image and video of a record.

    It is `xxh128:` and the XXH3 hash of 128 bits, as that of every file a run writes. What has a
    digest keeps it and is not read. A record with a file that is not there, or that is over a
    limit, is quarantined.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("media",)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        offsets, flat = media_lists(batch["media"])
        known = flat.field(_DIGEST)
        rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        made, faults = _digests(flat.filter(known.is_null()), media)
        errors: list[str | None] = [None] * batch.num_rows
        for row, fault in zip(rows[np.asarray(known.is_null())].tolist(), faults, strict=True):
            errors[row] = errors[row] or fault
        children = [flat.field(child) for child in range(MEDIA.num_fields)]
        children[_DIGEST] = pc.replace_with_mask(known, known.is_null(), made)
        structs = pa.StructArray.from_arrays(children, fields=list(MEDIA))
        lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), structs)
        return Outcome({"media": lists}, None, pa.array(errors, pa.string()))


def _digests(flat: pa.Array, media: Media) -> tuple[pa.Array, list[str | None]]:
    """The digest of each of some media, null where it could not be read, and why."""
    columns = [pc.struct_field(flat, name).to_pylist() for name in Reference._fields]
    made: dict[Reference, str | None] = {}
    faults: list[str | None] = []
    references = [Reference(*fields) for fields in zip(*columns, strict=True)]
    # One medium at a time: each is a file, or a stretch of one, and reading it is the cost.
    for reference in references:
        fault = None
        if made.get(reference) is None:
            try:
                made[reference] = bytes_digest(media.read(reference))
            except MediaError as error:
                made[reference], fault = None, str(error)
        faults.append(fault)
    return pa.array([made[reference] for reference in references], pa.string()), faults
