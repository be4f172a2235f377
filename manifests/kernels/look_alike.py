"""Compares images: first by the bits of their perceptual hashes, then by their small colour images,
which are the images reduced to 8 x 8 pixels. Two records are compared image by image: the first
image of one record with the first image of the other record, and so on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import boolean, float64, int64, types, uint8, uint64, void

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.popcount import popcount

SIDE, CHANNELS = 8, 3
BYTES = SIDE * SIDE * CHANNELS
"""The number of bytes of a small colour image: 8 x 8 blocks of RGB, row by row."""
WORST = 4
"""How many blocks count when two images are compared: the difference of the images is the mean
difference of the WORST blocks that differ most (our choice: of 4, 8, 16 and 32, this finds the most
images with an inserted part, if equally many true copies are found)."""
MAX_DIFFERENCE = 255.0
_MIN_DEVIATION = 1.0
"""The smallest contrast (standard deviation of luma, in gray levels) that is assumed for an image
(our choice), so that noise in a plain image is not enlarged."""
_MAX_GRAY = 6.0
"""An image counts as gray if its channels differ by less than this many levels on average (our
choice: JPEG gives gray photographs up to 2)."""
_BLOCKS = SIDE * SIDE
_LUMA_UNIT = 1000
"""Luma is computed in thousandths of a gray level, in whole numbers (ITU-R BT.601)."""

_NUMBERS = types.Array(int64, 1, "C", readonly=True)
_WORDS = types.Array(uint64, 2, "C", readonly=True)
_COLOURS = types.Array(uint8, 2, "C", readonly=True)
_TONES = types.Array(float64, 2, "C", readonly=True)


class Looks(NamedTuple):
    """The hashes, the small colour images and the tones of all m images of n records, by which
    images are compared. Record i has the images offsets[i] to offsets[i + 1] - 1.

    `offsets` (n + 1,) int64. `words` (m, 2) uint64: the perceptual hash of each image and of its
    mirror image. `colours` (m, BYTES) uint8: the small colour image of each image, which is the
    image reduced to 8 x 8 RGB pixels. `tones` (m, 3) float64: the mean and the standard deviation
    of an image's luma, and 1 if the image is gray, otherwise 0.
    """

    offsets: np.ndarray
    words: np.ndarray
    colours: np.ndarray
    tones: np.ndarray


LOOKS = types.NamedTuple((_NUMBERS, _WORDS, _COLOURS, _TONES), Looks)
"""The numba type of Looks."""

Tolerance = tuple[int, float]
"""The limits within which two images look alike: the number of bits in which their hashes may
differ, and the difference of their small colour images (8 x 8 pixels), in levels of 0 to 255. One
of the images may be mirrored."""
TOLERANCE = types.Tuple((int64, float64))
"""The numba type of the tuple that `plain` returns."""


def plain(tolerance: Tolerance) -> Tolerance:
    """Returns a tolerance as (int, float), the exact types that compiled functions take."""
    return int(tolerance[0]), float(tolerance[1])


def looks(offsets: np.ndarray, words: np.ndarray, colours: np.ndarray) -> Looks:
    """Makes a `Looks` from its first three fields, and computes its fourth field, `tones`, from the
    small colour images (`colours`)."""
    colours = np.ascontiguousarray(colours)
    tones = np.empty((len(colours), 3), np.float64)
    _measure_tones(colours, tones)
    fields = np.asarray(offsets, np.int64), words, colours, tones
    return Looks(*map(_read_only, fields))


def _read_only(array: np.ndarray) -> np.ndarray:
    """Returns a contiguous array that is marked as read-only, as the numba type LOOKS demands."""
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def bits_apart(
    images: Looks, first: np.ndarray, second: np.ndarray, tolerance: Tolerance
) -> np.ndarray:
    """Compares the records first[i] and second[i] image by image: the first image of one record
    with the first image of the other record, and so on. Returns int64: for each i, the highest
    number of bits in which the hashes of two compared images differ; -1 if the hashes or the
    colours of two compared images differ by more than `tolerance` allows.

    Both records must have the same number of images.
    """
    bits = np.empty(len(first), np.int64)
    ends = (np.ascontiguousarray(end, np.int64) for end in (first, second))
    _bits_of_pairs(images, plain(tolerance), *ends, bits)
    return bits


def colour_differences(images: Looks, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns float64: for each i, the difference of the small colour images (8 x 8 pixels) of the
    images first[i] and second[i]. Both are brought to the same brightness and contrast, and the
    mean difference of the 4 pixels (WORST) that differ most is taken, in levels of 0 to 255. It is
    computed twice, with the images as they are and with one image mirrored; the lower difference is
    returned."""
    differences = np.empty(len(first), np.float64)
    ends = (np.ascontiguousarray(end, np.int64) for end in (first, second))
    _differences_of_pairs(images, *ends, differences)
    return differences


@inlined
def _luma(colours: np.ndarray, image: int, block: int) -> Any:
    at = CHANNELS * block
    red, green, blue = (
        np.int64(colours[image, at]),
        np.int64(colours[image, at + 1]),
        np.int64(colours[image, at + 2]),
    )
    return 299 * red + 587 * green + 114 * blue


@compiled(void(_COLOURS, float64[:, ::1]))
def _measure_tones(colours: np.ndarray, tones: np.ndarray) -> None:
    """Writes the `tones` of each image: the mean and the standard deviation of its luma, and
    whether it is gray. All sums are of whole numbers, so they are the same on every machine."""
    for image in range(len(colours)):
        total, squares, spread = np.int64(0), np.int64(0), np.int64(0)
        for block in range(_BLOCKS):
            luma = _luma(colours, image, block)
            total += luma
            squares += luma * luma
            at = CHANNELS * block
            red, green, blue = colours[image, at], colours[image, at + 1], colours[image, at + 2]
            spread += np.int64(max(red, green, blue)) - np.int64(min(red, green, blue))
        tones[image, 0] = total / (_BLOCKS * _LUMA_UNIT)
        deviation = np.sqrt(float(_BLOCKS * squares - total * total)) / (_BLOCKS * _LUMA_UNIT)
        tones[image, 1] = max(deviation, _MIN_DEVIATION)
        tones[image, 2] = 1.0 if spread < _MAX_GRAY * _BLOCKS else 0.0


@inlined
def _difference(images: Looks, one: int, other: int, mirrored: bool, enough: float) -> Any:
    """Returns the difference of the small colour images (8 x 8 pixels) of the images `one` and
    `other`, in levels of 0 to 255. The small colour images are compared pixel by pixel, and the
    difference is the mean of the 4 pixels (WORST) that differ most. The comparison stops early if
    this mean, over the pixels compared so far, is over `enough`.

    If `mirrored` is true, the image `other` is mirrored. Brightness and contrast do not count: each
    image is shifted by its own mean, and both are scaled to the same contrast. If one of the images
    is gray, only luma is compared.
    """
    colours, tones = images.colours, images.tones
    gain_one = np.sqrt(tones[other, 1] / tones[one, 1])
    gain_other = np.sqrt(tones[one, 1] / tones[other, 1])
    mean_one, mean_other = tones[one, 0], tones[other, 0]
    gray = tones[one, 2] + tones[other, 2] > 0
    worst, mean = np.zeros(WORST), 0.0
    for block in range(_BLOCKS):
        facing = block ^ (SIDE - 1) if mirrored else block
        apart = 0.0
        if gray:
            luma_one = _luma(colours, one, block) / _LUMA_UNIT
            luma_other = _luma(colours, other, facing) / _LUMA_UNIT
            apart = abs((luma_one - mean_one) * gain_one - (luma_other - mean_other) * gain_other)
        else:
            for channel in range(CHANNELS):
                level_one = float(colours[one, CHANNELS * block + channel])
                level_other = float(colours[other, CHANNELS * facing + channel])
                apart += abs(
                    (level_one - mean_one) * gain_one - (level_other - mean_other) * gain_other
                )
            apart /= CHANNELS
        if apart > worst[0]:  # `worst` is ascending
            place = 0
            while place + 1 < WORST and worst[place + 1] < apart:
                worst[place] = worst[place + 1]
                place += 1
            worst[place] = apart
            total = 0.0
            for place in range(WORST):
                total += worst[place]
            mean = min(total / WORST, MAX_DIFFERENCE)
            if mean > enough:
                break
    return mean


@compiled(float64(LOOKS, int64, int64))
def _colour_difference(images: Looks, one: int, other: int) -> Any:
    """Returns the difference of the small colour images (8 x 8 pixels) of two images, in levels of
    0 to 255. It is computed twice, with the images as they are and with one image mirrored; the
    lower difference is returned."""
    shown = _difference(images, one, other, False, MAX_DIFFERENCE)
    return min(shown, _difference(images, one, other, True, MAX_DIFFERENCE))


@compiled(boolean(LOOKS, int64, int64, float64))
def alike(images: Looks, one: int, other: int, colour_distance: float) -> bool:
    """Returns true if the small colour images (8 x 8 pixels) of two images look alike, with the
    images as they are or with one image mirrored: the 4 pixels that differ most differ by at most
    `colour_distance` on average, in levels of 0 to 255."""
    if _difference(images, one, other, False, colour_distance) <= colour_distance:
        return True
    mirrored = _difference(images, one, other, True, colour_distance)
    return bool(mirrored <= colour_distance)


@inlined
def image_bits(words: np.ndarray, one: int, other: int) -> Any:
    """Returns the number of bits in which the hashes of two images differ. It is the lowest of
    three numbers: for both images as they are, for the first image mirrored, and for the second
    image mirrored. `words` (m, 2) has the hash of each image and of its mirror image."""
    return np.int64(
        min(
            popcount(words[one, 0] ^ words[other, 0]),
            popcount(words[one, 0] ^ words[other, 1]),
            popcount(words[one, 1] ^ words[other, 0]),
        )
    )


@compiled(int64(LOOKS, TOLERANCE, int64, int64))
def record_bits(images: Looks, tolerance: Tolerance, first: int, second: int) -> int:
    """Compares two records image by image: the first image of one record with the first image of
    the other record, and so on. Returns the highest number of bits in which the hashes of two
    compared images differ.

    Returns -1 if the hashes or the colours of two compared images differ by more than `tolerance`
    allows. `first` and `second` are the numbers of the records, which must have equally many
    images.
    """
    offsets, (distance, colour_distance) = images.offsets, tolerance
    worst = 0
    start, other_start = offsets[first], offsets[second]
    for image in range(offsets[first + 1] - start):
        bits = image_bits(images.words, start + image, other_start + image)
        if bits > distance:
            return -1
        worst = max(worst, bits)
    for image in range(offsets[first + 1] - start):
        if not alike(images, start + image, other_start + image, colour_distance):
            return -1
    return worst


@compiled(void(LOOKS, TOLERANCE, _NUMBERS, _NUMBERS, int64[::1]))
def _bits_of_pairs(
    images: Looks, tolerance: Tolerance, first: np.ndarray, second: np.ndarray, bits: np.ndarray
) -> None:
    for pair in range(len(first)):
        bits[pair] = record_bits(images, tolerance, first[pair], second[pair])


@compiled(void(LOOKS, _NUMBERS, _NUMBERS, float64[::1]))
def _differences_of_pairs(
    images: Looks, first: np.ndarray, second: np.ndarray, differences: np.ndarray
) -> None:
    for pair in range(len(first)):
        differences[pair] = _colour_difference(images, first[pair], second[pair])
