"""Computes how many images two records have in common, divided by the number of images of the
record with fewer images. Two records have an image in common if each has an image of the same group
of similar images ("family"), and these two images look alike: their hashes and their colours differ
little enough."""

from __future__ import annotations

import numpy as np
from numba import boolean, float32, int64, types, uint32, void

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.look_alike import (
    LOOKS,
    TOLERANCE,
    Looks,
    Tolerance,
    alike,
    image_bits,
    plain,
)

_PAIRS = types.Array(int64, 2, "C", readonly=True)
_FAMILIES = types.Array(uint32, 1, "C", readonly=True)


def common_images(
    pairs: np.ndarray, families: np.ndarray, images: Looks, tolerance: Tolerance
) -> np.ndarray:
    """Returns, for each pair of records, the number of images that they have in common, divided by
    the number of images of the record with fewer images: float32; 0 if a record has no image.

    `pairs` (k, 2) int64: the numbers of the two records. `families` uint32: for each image, the
    number of the group of similar images ("family") that it belongs to, ascending within a record.
    The images of a record that belong to one family count as one image. Two records have an image
    in common if each has an image of the same family, and these two images look alike: their hashes
    and colours differ by no more than `tolerance` allows.

    Example: images of the families [1, 2] and [2, 3, 4], where the two images of family 2 look
    alike -> 0.5.
    """
    shares = np.empty(len(pairs), np.float32)
    _shares(np.ascontiguousarray(pairs), families, images, plain(tolerance), shares)
    return shares


@inlined
def _run_end(families: np.ndarray, start: int, end: int) -> int:
    """Returns the index of the first image after `start` that is in another family than the image
    `start`; `end` if all images before `end` are in the same family. A family is a group of similar
    images; families[i] is the number of the family of image i."""
    at = start + 1
    while at < end and families[at] == families[start]:
        at += 1
    return at


@compiled(boolean(LOOKS, TOLERANCE, int64, int64, int64, int64))
def _near(images: Looks, tolerance: Tolerance, a: int, a_end: int, b: int, b_end: int) -> bool:
    """Returns true if at least one of the images `a` to `a_end` - 1 looks like at least one of the
    images `b` to `b_end` - 1: their hashes and colours differ by no more than `tolerance` allows.
    """
    distance, colour_distance = tolerance
    for one in range(a, a_end):
        for other in range(b, b_end):
            bits = image_bits(images.words, one, other)
            if bits <= distance and alike(images, one, other, colour_distance):
                return True
    return False


@compiled(void(_PAIRS, _FAMILIES, LOOKS, TOLERANCE, float32[::1]))
def _shares(
    pairs: np.ndarray,
    families: np.ndarray,
    images: Looks,
    tolerance: Tolerance,
    shares: np.ndarray,
) -> None:
    offsets = images.offsets
    for pair in range(len(shares)):
        a, a_last = offsets[pairs[pair, 0]], offsets[pairs[pair, 0] + 1]
        b, b_last = offsets[pairs[pair, 1]], offsets[pairs[pair, 1] + 1]
        common, in_a, in_b = 0, 0, 0
        while a < a_last or b < b_last:
            a_end = _run_end(families, a, a_last)
            b_end = _run_end(families, b, b_last)
            first = b >= b_last or (a < a_last and families[a] < families[b])
            second = a >= a_last or (b < b_last and families[b] < families[a])
            if not first and not second:
                common += _near(images, tolerance, a, a_end, b, b_end)
            if not second:
                a, in_a = a_end, in_a + 1
            if not first:
                b, in_b = b_end, in_b + 1
        fewer = min(in_a, in_b)
        shares[pair] = common / fewer if fewer > 0 else 0
