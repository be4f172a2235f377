"""The step `image_hash`: computes perceptual hashes of 64 bits and small colour images, which are
nearly the same for all copies of an image."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.image.perceptual.phash import SIDE, hashes
from filters.image.perceptual.small_image import (
    COLOURS_BYTES,
    COLOURS_SIDE,
    SmallImage,
    small_image,
)
from manifests.errors import MediaError
from manifests.media import Media, references
from manifests.record import media_lists
from manifests.record.images import image_rows
from manifests.step import Context, Images, Measured, RowErrors, RowStep

COLOURS_TYPE = pa.binary(COLOURS_BYTES)


class ImageHash(RowStep):
    """Compute a perceptual hash of each image and of its mirror image. Copies have similar hashes.

    `hash` and `mirror` have one value for each of a record's media, in order: null for a video, and
    for an image with almost no detail (a plain colour). Two images look alike if the `hash` of one
    image differs in few bits (at most 6 to 10 of 64) from the `hash` or the `mirror` of the other.
    `colours` is the image reduced to 8 x 8 pixels of RGB (192 bytes), row by row; `duplicates` and
    `duplicate_images` compare it, if two hashes are near. `colours` is null where the hash is null.
    A record with an image that cannot be decoded, that is missing, or that is over a limit of
    `media` is quarantined.

    The hash is pHash: the image is reduced to 32 x 32 pixels of luma and a discrete cosine
    transform (DCT-II) is applied; the bits record which of the 8 x 8 lowest frequencies are above
    their median. Frequencies that are 0 in one direction are left out. Images are hashed as they
    are shown, by their Exif orientation, and without plain borders: bars of one colour at two
    opposite sides, one at most twice as wide as the other, if at least half of the width and half
    of the height remain. A border around a background of the same colour is not detected. Images
    are decoded at the smallest scale of their codec that leaves their shorter side at least 32
    pixels; steps that run together decode each image only once, at a scale large enough for all.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010).
    """

    version: ClassVar[int] = 5

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "hash": pa.list_(pa.uint64()),
            "mirror": pa.list_(pa.uint64()),
            "colours": pa.list_(COLOURS_TYPE),
        }

    def images(self) -> Images:
        return Images(SIDE)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        hashed = hash_images(batch["media"], context.media)
        errors = RowErrors(batch.num_rows)
        for row, error in hashed.errors.items():
            errors.add(row, error)
        columns = {"hash": hashed.hash, "mirror": hashed.mirror, "colours": hashed.colours}
        return Measured(columns, errors)


class HashedImages(NamedTuple):
    """The hashes that `image_hash` computes for a batch of records. `hash`, `mirror` and `colours`
    have a list for each record, as the step's measures do. `errors` has an error for each row with
    an image that cannot be decoded."""

    hash: pa.Array
    mirror: pa.Array
    colours: pa.Array
    errors: dict[int, MediaError]


def hash_images(column: pa.Array | pa.ChunkedArray, media: Media) -> HashedImages:
    """Computes the perceptual hashes of all images in the column `media`."""
    rows, images = image_rows(column)
    small, failed = _small_images(images, media)
    errors: dict[int, MediaError] = {}
    for number, error in failed.items():
        errors.setdefault(int(rows[number]), error)
    hash_, mirror = hashes(small.luma)
    measures = hash_, mirror, _colours(small.colours, hash_)
    hash_, mirror, colours = (_beside_media(column, values) for values in measures)
    return HashedImages(hash_, mirror, colours, errors)


def _colours(colours: np.ndarray, hashes: pa.Array) -> pa.Array:
    """Returns the small colour image of each image; null if the image has no hash."""
    data = pa.py_buffer(colours)
    values = pa.Array.from_buffers(COLOURS_TYPE, len(colours), [None, data])
    return pc.if_else(hashes.is_valid(), values, pa.scalar(None, COLOURS_TYPE))


def _small_images(images: pa.Array, media: Media) -> tuple[SmallImage, dict[int, MediaError]]:
    """Returns the small squares of all images: luma, uint8 (images, 32, 32), and colours, uint8
    (images, 8, 8, 3); and a dict from the number of an image to its error.

    An image that cannot be decoded is replaced by a black image, which has no detail and so no
    hash.
    """
    lumas = np.zeros((len(images), SIDE, SIDE), np.uint8)
    colours = np.zeros((len(images), COLOURS_SIDE, COLOURS_SIDE, 3), np.uint8)
    errors: dict[int, MediaError] = {}
    # One image at a time: a codec takes one file, and decoding costs far more than the loop.
    for number, reference in enumerate(references(images)):
        try:
            small = small_image(media.decoded(reference), SIDE)
            lumas[number], colours[number] = small
        except MediaError as error:
            errors[number] = error
    return SmallImage(lumas, colours), errors


def _beside_media(media: pa.Array | pa.ChunkedArray, of_images: pa.Array) -> pa.Array:
    """Returns a list for each record with a value for each of its media: for an image its value in
    `of_images`, for a video null.

    media [[image, video], [image]], values [3, 5] -> [[3, null], [5]]
    """
    offsets, flat = media_lists(media)
    is_image = np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False))
    values = of_images.take(pa.array(np.cumsum(is_image) - 1, mask=~is_image))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
