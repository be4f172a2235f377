"""Finds texts that are nearly the same by MinHash bands, and verifies them by exact Jaccard
similarity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from filters.duplicates.kinds.contract import CandidatePairs, DescribedUnits, Entries, Verifier
from filters.duplicates.kinds.identity import from_binary, to_binary
from manifests import record
from manifests.record import one_chunk

if TYPE_CHECKING:
    from manifests.kernels.minhash import Scheme

TOKENS = {"words": 0, "whitespace": 1, "characters": 2}
"""The number that stands for each value of the setting `tokens` in the compiled loops."""

IDENTITY, SIGNATURE, SHINGLES = "minhash_identity", "minhash_signature", "minhash_shingles"
"""The names of columns in the index that later runs read."""

WINDOW = 64
"""A text is compared with at most this many of the texts that share a band with it and come before
it (our choice).

This limit makes the cost linear even if thousands of texts share a band, as boilerplate texts do.
"""
NEAREST = 8
"""Of the texts with which a text is compared in a band, at most this many become candidate pairs
with it: the most similar ones (our choice)."""
DEVIATIONS = 4.0
"""A candidate pair is rejected if its similarity, estimated from up to 128 bits of each signature,
is more than this many standard deviations below the threshold (our choice).

A pair whose similarity is exactly the threshold is rejected with a probability of one in thirty
thousand.
"""
SKETCH_BITS = 128


@dataclass(frozen=True)
class MinHash:
    """Finds texts that share a band of their MinHash signatures (Broder 1997; Leskovec et al.,
    Mining of Massive Datasets, ch. 3). The library datasketch computes the same signatures with its
    scheme `affine32`.

    The keys of a text are hashes of its bands. The payload, the data stored with each key, is one
    bit of each value of the text's signature, for at most the first 128 values.
    """

    threshold: float
    tokens: str
    n: int
    permutations: int
    bands: int
    rows: int
    verify: bool
    columns: ClassVar[tuple[str, ...]] = ("content",)

    @property
    def keys_per_unit(self) -> int:
        return self.bands

    words: ClassVar[int] = 2
    compare_across_slices: ClassVar[bool] = False

    def describe(self, table: pa.Table) -> DescribedUnits:
        from manifests.kernels import minhash

        if IDENTITY in table.column_names:
            return self._describe_indexed(table)
        content = table["content"]
        # Chunk by chunk: joining the chunks would copy all texts.
        chunks = content.chunks or [content.combine_chunks()]
        sketches = [minhash.sketch(record.texts(chunk), self._scheme()) for chunk in chunks]
        names = ("present", "identity", "bands", "bits")
        return self._units(*(np.concatenate([getattr(s, n) for s in sketches]) for n in names))

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        from manifests.kernels import minhash

        texts = record.texts(table["content"])
        sketches = minhash.sketch(texts, self._scheme(), signatures=True)
        assert sketches.signatures is not None
        flat = pa.array(sketches.signatures.reshape(-1))
        return {
            IDENTITY: to_binary(sketches.present, sketches.identity),
            SIGNATURE: pa.FixedSizeListArray.from_arrays(flat, self.permutations),
            SHINGLES: Shingles(self.threshold, self.tokens, self.n).features(table),
        }

    def candidates(self, entries: Entries) -> CandidatePairs:
        from manifests.kernels.grouping import runs, similar_pairs

        pairs = similar_pairs(
            runs(entries.keys), entries.marks, entries.payload, self._max_bits(), WINDOW, NEAREST
        )
        differ = entries.payload[pairs[:, 0]] ^ entries.payload[pairs[:, 1]]
        share = np.bitwise_count(differ).sum(axis=1) / self._bits()
        return CandidatePairs(pairs, np.maximum(1 - 2 * share, 0).astype(np.float32))

    @property
    def verifier(self) -> Verifier | None:
        return Shingles(self.threshold, self.tokens, self.n) if self.verify else None

    def _scheme(self) -> Scheme:
        from manifests.kernels.minhash import Scheme

        return Scheme(TOKENS[self.tokens], self.n, self.permutations, self.bands, self.rows)

    def _describe_indexed(self, table: pa.Table) -> DescribedUnits:
        from manifests.kernels import minhash

        present, identity = from_binary(one_chunk(table[IDENTITY]))
        flat = np.asarray(one_chunk(table[SIGNATURE]).flatten())
        signatures = flat.reshape(-1, self.permutations)
        bands = minhash.bands_of(signatures, self.bands, self.rows)
        return self._units(present, identity, bands, minhash.bits_of(signatures))

    def _units(
        self, present: np.ndarray, identity: np.ndarray, bands: np.ndarray, bits: np.ndarray
    ) -> DescribedUnits:
        owners = np.repeat(np.arange(len(present)), self.bands)
        keys = bands.reshape(-1)
        if not present.all():
            compared = np.repeat(present, self.bands)
            keys, owners = keys[compared], owners[compared]
        return DescribedUnits(present, identity, keys, owners, bits)

    def _bits(self) -> int:
        return min(SKETCH_BITS, self.permutations)

    def _max_bits(self) -> int:
        """Returns the largest number of bits in which two texts of a candidate pair may differ, of
        the 128 bits that are stored with each key. Pairs that differ in more bits are rejected
        before their exact similarity is computed.

        A bit of 1-bit MinHash differs with probability (1 - J) / 2 (Li and Koenig 2010). Without
        verification, all pairs that share a band are duplicates, and these bits are ignored.
        """
        if not self.verify:
            return SKETCH_BITS
        bits, share = self._bits(), (1 - self.threshold) / 2
        return math.ceil(bits * share + DEVIATIONS * math.sqrt(bits * share * (1 - share)))


@dataclass(frozen=True)
class Shingles:
    """Computes the exact Jaccard similarity of two texts. The set of n-grams of a text is stored as
    a set of 32-bit hashes."""

    min_similarity: float
    tokens: str
    n: int
    columns: ClassVar[tuple[str, ...]] = ("content",)

    def features(self, table: pa.Table) -> pa.Array:
        from manifests.kernels.shingles import shingles

        if SHINGLES in table.column_names:
            return one_chunk(table[SHINGLES])
        texts = record.texts(table["content"])
        offsets, hashes = shingles(texts, TOKENS[self.tokens], self.n, distinct=True)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(hashes))

    def similarity(self, pairs: np.ndarray, features: pa.Array) -> np.ndarray:
        from manifests.kernels.jaccard import jaccard

        offsets = np.asarray(features.offsets).astype(np.int64)
        similarity: np.ndarray = jaccard(pairs, offsets, np.asarray(features.values))
        return similarity
