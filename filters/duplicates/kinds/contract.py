"""The interface between the search for duplicates and a kind of duplicate: the methods of a kind,
and the arrays that these methods get and return.

A unit is a record or a single image, whichever is compared. Here units are the rows of one source
(a part of the corpus, or a file of an earlier run's index), numbered from 0.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from filters.duplicates.kinds.identity import combine_hashes


class DescribedUnits(NamedTuple):
    """The data by which the n units (records or images) of one source are compared.

    `present` (n,) bool: false for units that are never duplicates, such as records without text.
    `identity` (n, 2) uint64: units with equal identities are duplicates without verification.
    `keys` (m,) uint64 and `owners` (m,) int64: unit owners[i] has keys[i]. Near-duplicates share at
    least one key. `payload` (n, words) uint64: data to compare units that share a key, stored with
    every key.
    """

    present: np.ndarray
    identity: np.ndarray
    keys: np.ndarray
    owners: np.ndarray
    payload: np.ndarray


class Entries(NamedTuple):
    """The keys that at least two units (records or images) share. There is an entry for each such
    key of each unit: m entries.

    `keys` (m,) uint64. `marks` (m,) uint64: the first 64 bits of the unit's identity (a hash of its
    content). `payload` (m, words) uint64: the data by which the unit is compared. Entries are
    sorted by key and then by mark, so the order depends on content alone.
    """

    keys: np.ndarray
    marks: np.ndarray
    payload: np.ndarray


class CandidatePairs(NamedTuple):
    """Pairs of units (records or images) that may be duplicates. `pairs` (k, 2) int64: the
    positions of the two units in `Entries`. `similarity` (k,) float32: the similarity of each pair.
    If the kind has a verifier, which computes the similarity later, this is only an estimate, or
    0."""

    pairs: np.ndarray
    similarity: np.ndarray


class Identity(Protocol):
    """A rule for equality: it computes a hash of each record, and records with the same hash are
    duplicates. A rule must be picklable."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def identify(self, table: pa.Table) -> pa.Array:
        """Returns a 128-bit hash, fixed_size_binary(16), for each row. Rows with equal hashes are
        duplicates. A row whose hash is null is never a duplicate."""
        ...

    def certain(self, table: pa.Table) -> pa.Array:
        """Returns a stricter 128-bit hash for each row: rows with equal hashes are duplicates
        without any comparison. Most rules return the hashes of `identify`. A rule returns other
        hashes if rows with equal hashes of `identify` must still be compared."""
        ...

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        """Returns the columns that an index stores for later runs. `identify` must accept a table
        of these columns."""
        ...


class Kind(Protocol):
    """One kind of near-duplicate, such as texts with common n-grams. A kind must be picklable. Its
    methods do not read files: they get and return tables and arrays."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of records that `describe` reads."""
        ...

    @property
    def keys_per_unit(self) -> int:
        """The approximate number of keys of a unit (record or image). The engine computes from this
        number into how many ranges keys are divided."""
        ...

    @property
    def words(self) -> int:
        """The number of uint64 words of data (the payload) that are stored with each key of a unit
        (record or image)."""
        ...

    def describe(self, table: pa.Table) -> DescribedUnits: ...

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        """Returns the columns that an index stores for later runs. `describe` must accept a table
        of these columns."""
        ...

    def candidates(self, entries: Entries) -> CandidatePairs:
        """Returns pairs of entries that share a key and may be duplicates. An entry is one key of
        one unit (record or image). If `verifier` is None, all of these pairs are duplicates.
        Otherwise the verifier decides which pairs are duplicates."""
        ...

    @property
    def verifier(self) -> Verifier | None:
        """The verifier that decides which candidate pairs are duplicates; None if all pairs that
        `candidates` returns are duplicates."""
        ...

    @property
    def compare_across_slices(self) -> bool:
        """True if all units (records or images) that share a key are compared with each other, even
        if the key has too many units for one task.

        The units of a key with too many units are split into slices. If the value is false, units
        in different slices are not compared.
        """
        ...


class Verifier(Protocol):
    """Compares two units (records or images) by their features: data that is too large to be stored
    with every key of a unit."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of records that `features` reads."""
        ...

    def features(self, table: pa.Table) -> pa.Array:
        """Returns the features of each row, by which `similarity` compares rows: list<uint32>."""
        ...

    def similarity(self, pairs: np.ndarray, features: pa.Array) -> np.ndarray:
        """Returns the similarity of each pair of rows, (k,) float32. `pairs` (k, 2) are the
        positions of the rows in `features`."""
        ...

    @property
    def min_similarity(self) -> float:
        """The lowest similarity that a pair of duplicates can have."""
        ...


def with_identity(
    units: DescribedUnits, present: np.ndarray, identity: np.ndarray, certain: np.ndarray
) -> DescribedUnits:
    """Returns changed copies of the units (records or images), of which only units with equal
    values in the argument `identity` can be duplicates.

    `present` (n,) bool is false for units without such a value: these units are never duplicates.
    The new keys are hashes of the old keys and of the argument `identity`, (n, 2) uint64, so units
    with different values in it share no key. `units.identity` is replaced by a hash of itself and
    of `certain`, (n, 2) uint64: two units are duplicates without a comparison if their values of
    `units.identity` are equal and their values of `certain` are equal.
    """
    return DescribedUnits(
        units.present & present,
        combine_hashes(units.identity, certain),
        combine_hashes(units.keys, identity[units.owners, 0]),
        units.owners,
        units.payload,
    )


def identity_only(present: np.ndarray, identity: np.ndarray) -> DescribedUnits:
    """Returns n units (records or images) that are duplicates only if their `identity` values, (n,
    2) uint64, are equal. The units have no keys and no payload. Units whose `present` is false are
    never duplicates."""
    no_keys = np.empty(0, np.uint64)
    payload = np.empty((len(present), 0), np.uint64)
    return DescribedUnits(present, identity, no_keys, no_keys.astype(np.int64), payload)
