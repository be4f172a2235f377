"""N-grams of characters as a sparse matrix, and its truncated singular value decomposition: latent
semantic analysis (Deerwester et al. 1990).

The row of a text has a 1 for each of its different n-grams. Each n-gram is weighted by how rare it
is, and the vector of each text is divided by its length. The decomposition is fitted by randomised
subspace iteration (Halko et al. 2011). Each of its components is divided by its singular value, so
that frequent words do not decide alone which texts are similar (our choice).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SIZES = (2, 3)
"""Numbers of characters of an n-gram (our choice). Pairs matter in scripts written without spaces,
where a word has one or two characters."""
BUCKETS = 1 << 16
"""The number of buckets that the n-grams are hashed into (our choice)."""
OVERSAMPLING, ROUNDS = 16, 4
"""Additional columns and rounds of the randomised decomposition (our choice; Halko et al. advise 5
to 10 columns, and up to 3 rounds)."""
_NEGLIGIBLE = 1e-8
"""Components with less than this share of the greatest squared singular value are left out: they
are rounding errors (our choice)."""
_LEAST = 1.5
"""A component is divided by this number if its singular value is smaller (our choice). The singular
value of two equal texts that have nothing in common with others is the root of 2."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Grams(NamedTuple):
    """The n-grams of texts: text i has those in the buckets `buckets[offsets[i] : offsets[i + 1]]`
    (int32)."""

    offsets: np.ndarray
    buckets: np.ndarray


def grams(texts: pa.Array, max_chars: int) -> Grams:
    """Returns the n-grams of the first `max_chars` characters of each text, in lower case;
    none for a text without a character other than white space."""
    from manifests.kernels.shingles import CHARACTERS, shingles

    cut = pc.utf8_slice_codeunits(texts, 0, max_chars)
    found = [shingles(cut, CHARACTERS, size, True) for size in SIZES]
    of_text = np.concatenate(
        [np.repeat(np.arange(len(texts)), np.diff(offsets)) for offsets, _ in found]
    )
    hashes = np.concatenate(
        [own.astype(np.uint64) * _SPREAD + np.uint64(n) for n, (_, own) in enumerate(found)]
    )
    buckets = (hashes * _SPREAD >> np.uint64(48)).astype(np.int32)
    order = np.argsort(of_text, kind="stable")
    ends = np.cumsum(np.bincount(of_text, minlength=len(texts)))
    return Grams(np.concatenate([[0], ends]).astype(np.int64), buckets[order])


def fit_projection(sample: Grams, width: int, seed: int) -> np.ndarray:
    """Returns (BUCKETS, width) float32: what each n-gram adds to the vector of a text. The result
    is the same for any number of threads.

    If the rank of the sample is below `width`, the components over this rank are zeros.
    """
    from manifests.kernels.sparse_rows import times_dense, transposed_times_dense
    from manifests.kernels.symmetric import eigen, gram, orthonormal, times_small

    rarity, lengths = _weights(sample)
    offsets, buckets = sample

    def times(dense: np.ndarray) -> np.ndarray:
        product: np.ndarray = times_dense(offsets, buckets, rarity[:, None] * dense)
        product /= lengths[:, None]
        return product

    def transposed_times(dense: np.ndarray) -> np.ndarray:
        scaled = np.ascontiguousarray(dense / lengths[:, None])
        product: np.ndarray = transposed_times_dense(offsets, buckets, scaled, BUCKETS)
        product *= rarity[:, None]
        return product

    columns = min(width + OVERSAMPLING, len(lengths))
    start = np.random.default_rng(seed).standard_normal((BUCKETS, columns))
    basis = orthonormal(times(start))
    for _ in range(ROUNDS):
        basis = orthonormal(times(transposed_times(basis)))
    reduced = transposed_times(basis)
    squares, rotation = eigen(gram(reduced))
    kept = min(width, int((squares > _NEGLIGIBLE * squares[0]).sum()))
    singular = np.sqrt(squares[:kept])
    scale = singular * np.maximum(singular, _LEAST)
    components = times_small(reduced, rotation[:, :kept] / scale)
    projection = np.zeros((BUCKETS, width), np.float32)
    projection[:, :kept] = rarity[:, None] * components
    return projection


def project(found: Grams, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the unit vector of each text, (texts, width) float32, and whether it has one: a text
    without an n-gram of the sample has none."""
    from manifests.kernels.sparse_rows import row_sums

    sums = row_sums(*found, projection)
    lengths = np.sqrt(np.square(sums, dtype=np.float64).sum(axis=1))
    present = lengths > 0
    return (sums / np.where(present, lengths, 1)[:, None]).astype(np.float32), present


def _weights(sample: Grams) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rarity of each bucket, and the length of each text.

    The rarity is ln((1 + number of texts) / (1 + number of texts with the n-gram)) + 1, the
    smoothed inverse document frequency of scikit-learn (documented: TfidfTransformer).
    """
    rows = len(sample.offsets) - 1
    rarity = np.log((1 + rows) / (1 + np.bincount(sample.buckets, minlength=BUCKETS))) + 1
    squares = np.concatenate([[0.0], np.cumsum(np.square(rarity)[sample.buckets])])
    return rarity, np.sqrt(np.diff(squares[sample.offsets]))
