"""Texts that are nearly the same: MinHash and bands find them, exact Jaccard proves them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Described, Entries, Met, Proof, from_binary, to_binary
from manifests import record
from manifests.record import one_chunk

if TYPE_CHECKING:
    from manifests.kernels.minhash import Scheme

TOKENS = {"words": 0, "whitespace": 1, "characters": 2}
"""As the kernels number them."""

IDENTITY, SIGNATURE, SHINGLES = "minhash_identity", "minhash_signature", "minhash_shingles"

WINDOW = 64
"""How many before it in its band a text is compared with (ours): linear on boilerplate."""
NEAREST = 8
"""How many of those, the nearest, are then proven (ours)."""
DEVIATIONS = 4.0
"""Standard deviations under the threshold at which the sketch still lets a pair through (ours):
one in thirty thousand pairs at the threshold is lost."""
SKETCH_BITS = 128


@dataclass(frozen=True)
class MinHash:
    """Bands of a MinHash signature (Broder 1997; Leskovec et al., Mining of Massive Datasets, ch.
    3), whose values are datasketch's `affine32`."""

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
    slices_meet: ClassVar[bool] = False

    def describe(self, table: pa.Table) -> Described:
        from manifests.kernels import minhash

        if IDENTITY in table.column_names:
            return self._known(table)
        content = table["content"]
        # Chunk by chunk: to join the texts would be to copy them.
        chunks = content.chunks or [content.combine_chunks()]
        said = [minhash.sketch(record.texts(chunk), self._scheme()) for chunk in chunks]
        names = ("present", "identity", "bands", "bits")
        return self._described(*(np.concatenate([getattr(s, n) for s in said]) for n in names))

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        from manifests.kernels import minhash

        texts = record.texts(table["content"])
        said = minhash.sketch(texts, self._scheme(), signatures=True)
        assert said.signatures is not None
        flat = pa.array(said.signatures.reshape(-1))
        return {
            IDENTITY: to_binary(said.present, said.identity),
            SIGNATURE: pa.FixedSizeListArray.from_arrays(flat, self.permutations),
            SHINGLES: Shingles(self.threshold, self.tokens, self.n).of(table),
        }

    def meet(self, entries: Entries) -> Met:
        from manifests.kernels.grouping import runs, similar_pairs

        pairs = similar_pairs(
            runs(entries.keys), entries.marks, entries.payload, self._most(), WINDOW, NEAREST
        )
        differ = entries.payload[pairs[:, 0]] ^ entries.payload[pairs[:, 1]]
        share = np.bitwise_count(differ).sum(axis=1) / self._bits()
        return Met(pairs, np.maximum(1 - 2 * share, 0).astype(np.float32))

    @property
    def proof(self) -> Proof | None:
        return Shingles(self.threshold, self.tokens, self.n) if self.verify else None

    def _scheme(self) -> Scheme:
        from manifests.kernels.minhash import Scheme

        return Scheme(TOKENS[self.tokens], self.n, self.permutations, self.bands, self.rows)

    def _known(self, table: pa.Table) -> Described:
        from manifests.kernels import minhash

        present, identity = from_binary(one_chunk(table[IDENTITY]))
        flat = np.asarray(one_chunk(table[SIGNATURE]).flatten())
        signatures = flat.reshape(-1, self.permutations)
        bands = minhash.bands_of(signatures, self.bands, self.rows)
        return self._described(present, identity, bands, minhash.bits_of(signatures))

    def _described(
        self, present: np.ndarray, identity: np.ndarray, bands: np.ndarray, bits: np.ndarray
    ) -> Described:
        owners = np.repeat(np.arange(len(present)), self.bands)
        keys = bands.reshape(-1)
        if not present.all():
            mine = np.repeat(present, self.bands)
            keys, owners = keys[mine], owners[mine]
        return Described(present, identity, keys, owners, bits)

    def _bits(self) -> int:
        return min(SKETCH_BITS, self.permutations)

    def _most(self) -> int:
        """Places at which the sketches of two texts at the threshold may differ.

        A bit of 1-bit MinHash differs with probability (1 - J) / 2 (Li and Koenig 2010). Where
        nothing is proven afterwards, every pair that shares a band is one of duplicates.
        """
        if not self.verify:
            return SKETCH_BITS
        bits, share = self._bits(), (1 - self.threshold) / 2
        return math.ceil(bits * share + DEVIATIONS * math.sqrt(bits * share * (1 - share)))


@dataclass(frozen=True)
class Shingles:
    """Exact Jaccard of the sets of 32-bit hashes of n-grams."""

    least: float
    tokens: str
    n: int
    columns: ClassVar[tuple[str, ...]] = ("content",)

    def of(self, table: pa.Table) -> pa.Array:
        from manifests.kernels.shingles import shingles

        if SHINGLES in table.column_names:
            return one_chunk(table[SHINGLES])
        texts = record.texts(table["content"])
        offsets, hashes = shingles(texts, TOKENS[self.tokens], self.n, distinct=True)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(hashes))

    def similarity(self, pairs: np.ndarray, proofs: pa.Array) -> np.ndarray:
        from manifests.kernels.jaccard import jaccard

        offsets = np.asarray(proofs.offsets).astype(np.int64)
        same: np.ndarray = jaccard(pairs, offsets, np.asarray(proofs.values))
        return same
