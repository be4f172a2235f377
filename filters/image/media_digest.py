"""The step `media_digest`: computes digests of the bytes of images and videos."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import MediaError
from manifests.media import Media, Reference, references
from manifests.record import MEDIA, media_lists
from manifests.step import Context, Measured, RowErrors, RowStep
from manifests.storage.digest import bytes_digest

_DIGEST = MEDIA.get_field_index("digest")


class MediaDigest(RowStep):
    """Set the `digest` of each image and video of a record, computed from its bytes.

    A digest is `xxh128:` and the 32 hex digits of the 128-bit XXH3 hash of the bytes. A run uses
    the same hash for the files that it writes. Media that already have a digest keep it and are not
    read. A record with a file that is missing, cannot be read, or is over a limit is quarantined.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("media",)

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        offsets, flat = media_lists(batch["media"])
        known = flat.field(_DIGEST)
        rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        missing = np.asarray(known.is_null())
        digests, failed = _digests(flat.filter(known.is_null()), context.media)
        errors = RowErrors(batch.num_rows)
        for number, error in failed.items():
            errors.add(int(rows[missing][number]), error)
        children = [flat.field(child) for child in range(MEDIA.num_fields)]
        children[_DIGEST] = pc.replace_with_mask(known, known.is_null(), digests)
        structs = pa.StructArray.from_arrays(children, fields=list(MEDIA))
        lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), structs)
        return Measured({"media": lists}, errors)


def _digests(flat: pa.Array, media: Media) -> tuple[pa.Array, dict[int, MediaError]]:
    """Returns the digest of each image or video, null if the file could not be read; and a dict
    from the number of an image or video to its error."""
    digests: dict[Reference, str | None] = {}
    errors: dict[int, MediaError] = {}
    every = references(flat)
    # One medium at a time: each is a file or part of a file, and reading takes most of the time.
    for number, reference in enumerate(every):
        if digests.get(reference) is None:
            try:
                digests[reference] = bytes_digest(media.read(reference))
            except MediaError as error:
                digests[reference], errors[number] = None, error
    return pa.array([digests[reference] for reference in every], pa.string()), errors
