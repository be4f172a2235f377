"""Features of small images from their patches and colours, fitted without labels.

Patches of 6 x 6 pixels are normalised, whitened, and compared with a dictionary, the centroids of
patches of the sample (Coates, Lee and Ng 2011, An Analysis of Single-Layer Networks in Unsupervised
Feature Learning). The similarities over a threshold (Coates and Ng 2011, The Importance of Encoding
Versus Training with Sparse Coding and Vector Quantization) are averaged over the four quarters of
the image. Their square roots are reduced to their principal components. Beside them is a histogram
of colours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustering.embed.thumbnail import SIDE

PATCH = 6
"""The side of a patch in pixels (published: Coates and Ng 2011)."""
_PATCH_VALUES = PATCH * PATCH * 3
_ROWS = SIDE - PATCH + 1
WORDS = 128
"""The number of patches in the dictionary (our choice: 256 cost twice as much, and found no better
neighbours)."""
_VARIANCE, _WHITENING = 10.0, 0.1
"""What is added to the variance of a patch, of values from 0 to 255, and to the variances of the
whitened directions (published: Coates, Lee and Ng 2011, section 3.1)."""
_THRESHOLD = 0.25
"""The threshold of the similarities (our choice: of 0.25 and 1, it found the better neighbours)."""
_PATCHES = 40_000
"""The number of patches that whitening and the dictionary are fitted on (our choice)."""
_ROUNDS = 10
"""The rounds of k-means (published as enough: Coates and Ng 2012, section 4)."""
_OVERSAMPLING, _ITERATIONS = 16, 4
"""Additional columns and rounds of the subspace iteration (our choice; Halko et al. advise 5 to 10
columns, and up to 3 rounds)."""
COMPONENTS, _COLOURS = 64, 64
"""The numbers of values of a vector that are for patches and for colours (our choice)."""
_LEVELS = 4
"""The number of levels of each colour channel in the histogram (our choice)."""
_COLOUR_WEIGHT = 0.5
"""The length of the part of a vector that is for colours; that for patches has the length 1 (our
choice)."""
WIDTH = COMPONENTS + _COLOURS


class Dictionary(NamedTuple):
    """What patches are compared with, float32. `words`: (108, 128), by which a normalised patch is
    multiplied to give its similarities to the whitened centroids; `shift`: (128,), what is
    subtracted from the product, because patches are centred before they are whitened."""

    words: np.ndarray
    shift: np.ndarray

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the square roots of the mean similarities to each centroid, and to its negative,
        in each quarter of an image: (1024,) float32."""
        from manifests.kernels.single_products import times

        similar = times(_normalised(_patches(pixels)), self.words) - self.shift
        both = np.concatenate([similar, -similar], axis=1) - np.float32(_THRESHOLD)
        maps = np.maximum(both, 0).reshape(_ROWS, _ROWS, -1)
        half = _ROWS // 2
        quarters = [
            maps[rows, columns].mean(axis=(0, 1))
            for rows in (slice(half), slice(half, None))
            for columns in (slice(half), slice(half, None))
        ]
        pooled: np.ndarray = np.sqrt(np.concatenate(quarters))
        return pooled


class Patches(NamedTuple):
    """What is fitted on the sample, float32. `centre`, `axes`: the mean and the scaled principal
    components of pooled features, (1024,) and (1024, 64). `colours`: the mean histogram, (64,)."""

    dictionary: Dictionary
    centre: np.ndarray
    axes: np.ndarray
    colours: np.ndarray

    def vector(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the vector of an image, float32 (128,). `pixels`: uint8 (32, 32, 3). The vector
        is the same for any number of threads."""
        from manifests.kernels.single_products import times

        pooled = times((self.dictionary.pooled(pixels) - self.centre)[None], self.axes)[0]
        colours = _histogram(pixels) - self.colours
        return np.concatenate([_unit(pooled), np.float32(_COLOUR_WEIGHT) * _unit(colours)])


def fit(images: np.ndarray, seed: int) -> Patches:
    """Fits the features on a sample of images, uint8 (n, 32, 32, 3). The order of the images and
    the seed decide which patches are taken. The result is the same for any number of threads."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    each = -(-_PATCHES // len(images))
    taken = [_patches(image)[random.integers(0, _ROWS * _ROWS, each)] for image in images]
    dictionary = _dictionary(_normalised(np.concatenate(taken)).astype(np.float64), random)
    pooled = np.stack([dictionary.pooled(image) for image in images]).astype(np.float64)
    centre = pooled.mean(axis=0)
    axes = _components(pooled - centre, random)
    colours = np.stack([_histogram(image) for image in images]).mean(axis=0)
    return Patches(dictionary, centre.astype(np.float32), axes.astype(np.float32), colours)


def _dictionary(patches: np.ndarray, random: np.random.Generator) -> Dictionary:
    from manifests.kernels.symmetric import eigen, gram, times_small

    mean = patches.mean(axis=0)
    patches = patches - mean
    values, axes = eigen(gram(patches) / len(patches))
    scaled = axes / np.sqrt(np.maximum(values, 0) + _WHITENING)
    whitening = times_small(scaled, np.ascontiguousarray(axes.T))
    white = times_small(patches, whitening)
    words = _centroids(white, white[random.integers(0, len(white), WORDS)])
    product = times_small(whitening, np.ascontiguousarray(words.T))
    shift = times_small(mean[None], product)[0]
    return Dictionary(product.astype(np.float32), shift.astype(np.float32))


def _centroids(white: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Returns centroids of whitened patches, of the length 1, by k-means with the cosine. `words`
    are the first centroids. In each round, a centroid is moved by the sum of its patches, weighted
    by their cosines, as in Coates and Ng 2012, Learning Feature Representations with K-means."""
    from manifests.kernels.symmetric import times_small

    words = _units(words)
    for _ in range(_ROUNDS):
        similar = times_small(white, np.ascontiguousarray(words.T))
        nearest = similar.argmax(axis=1)
        weighted = white * similar[np.arange(len(white)), nearest][:, None]
        order = np.argsort(nearest, kind="stable")
        found, starts = np.unique(nearest[order], return_index=True)
        words[found] += np.add.reduceat(weighted[order], starts, axis=0)
        words = _units(words)
    return words


def _units(rows: np.ndarray) -> np.ndarray:
    units: np.ndarray = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    return units


def _components(pooled: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the first principal components of centred features, (1024, 64), by subspace iteration
    (Halko et al. 2011). Each is divided by the fourth root of its variance, so that the strongest
    do not outweigh the others (our choice). If the sample has fewer components, the others are
    zeros."""
    from manifests.kernels.symmetric import eigen, gram, orthonormal, times_small

    across = np.ascontiguousarray(pooled.T)
    columns = min(COMPONENTS + _OVERSAMPLING, len(pooled))
    basis = orthonormal(random.standard_normal((len(across), columns)))
    for _ in range(_ITERATIONS):
        basis = orthonormal(times_small(across, times_small(pooled, basis)))
    variances, rotation = eigen(gram(times_small(pooled, basis)) / len(pooled))
    kept = min(COMPONENTS, int((variances > variances[0] * 1e-6).sum()))
    axes = np.zeros((len(across), COMPONENTS))
    scaled = rotation[:, :kept] / variances[:kept] ** 0.25
    axes[:, :kept] = times_small(basis, np.ascontiguousarray(scaled))
    return axes


def _patches(pixels: np.ndarray) -> np.ndarray:
    """Returns all patches of an image, (729, 108)."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(0, 1))
    return windows.reshape(_ROWS * _ROWS, _PATCH_VALUES)


def _normalised(patches: np.ndarray) -> np.ndarray:
    centred = patches.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    centred /= np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(_VARIANCE))
    return centred


def _histogram(pixels: np.ndarray) -> np.ndarray:
    """Returns the square roots of the shares of 64 colours in an image, float32 (64,)."""
    levels = (pixels // (256 // _LEVELS)).astype(np.int64)
    colours = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    shares = np.bincount(colours.ravel(), minlength=_COLOURS) / colours.size
    return np.sqrt(shares).astype(np.float32)


def _unit(vector: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vector / np.maximum(np.linalg.norm(vector), np.float32(1e-9))
    return unit
