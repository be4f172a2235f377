"""What the engine asks of a kind of duplicate, and the tables they exchange.

A unit is what is compared: a record, or one image. Here units are the rows of one source (a part
of the corpus, or a file of an earlier run's index), numbered from 0.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from filters.duplicates.kinds.identity import combine_hashes


class DescribedUnits(NamedTuple):
    """What is compared of the n units of one source.

    `present` (n,) bool: false for units that are never duplicates, such as records without text.
    `identity` (n, 2) uint64: units with equal identities are duplicates without verification.
    `keys` (m,) uint64 and `owners` (m,) int64: unit owners[i] has keys[i]. Near-duplicates share
    at least one key.
    `payload` (n, words) uint64: written beside every key, to compare units that share the key.
    """

    present: np.ndarray
    identity: np.ndarray
    keys: np.ndarray
    owners: np.ndarray
    payload: np.ndarray


class Entries(NamedTuple):
    """Keys that at least two units share, one entry for each key of each unit.

    Sorted by `keys` (m,) uint64, then by `marks` (m,) uint64, the first word of the unit's
    identity: so the order within a key depends on content alone. `payload` (m, words) uint64.
    """

    keys: np.ndarray
    marks: np.ndarray
    payload: np.ndarray


class CandidatePairs(NamedTuple):
    """Pairs of positions (k, 2) int64 in some entries, and their similarity (k,) float32."""

    pairs: np.ndarray
    similarity: np.ndarray


class Identity(Protocol):
    """A rule that makes records equal, without verification. Picklable."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def identify(self, table: pa.Table) -> pa.Array:
        """fixed_size_binary(16) for each row: equal rows have equal values; null is never equal."""
        ...

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        """What an index keeps of the rows: `identify` must accept a table of these columns."""
        ...


class Kind(Protocol):
    """One kind of near-duplicate. Picklable; it handles arrays only, no parts, files or workers."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `describe` reads."""
        ...

    @property
    def keys_per_unit(self) -> int:
        """Roughly how many keys a unit has, to plan the number of ranges."""
        ...

    @property
    def words(self) -> int:
        """uint64 words of payload a unit has."""
        ...

    def describe(self, table: pa.Table) -> DescribedUnits: ...

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        """What an index keeps of the rows: `describe` must accept a table of these columns."""
        ...

    def candidates(self, entries: Entries) -> CandidatePairs:
        """Pairs that share a key and may be duplicates. They are final if there is no verifier."""
        ...

    @property
    def verifier(self) -> Verifier | None:
        """Compares candidate pairs exactly; None if `candidates` has already done so."""
        ...

    @property
    def compare_across_slices(self) -> bool:
        """Whether a key with too many entries for one task is still compared each with each.

        Its entries are cut into slices; without this, a slice is compared only with itself.
        """
        ...


class Verifier(Protocol):
    """Compares two units by features that are too large to be written beside every key."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `features` reads."""
        ...

    def features(self, table: pa.Table) -> pa.Array:
        """list<uint32> for each row: what `similarity` compares."""
        ...

    def similarity(self, pairs: np.ndarray, features: pa.Array) -> np.ndarray:
        """float32 for each pair (k, 2) of positions in `features`."""
        ...

    @property
    def min_similarity(self) -> float:
        """Pairs with at least this similarity are duplicates."""
        ...


def with_identity(
    units: DescribedUnits, present: np.ndarray, identity: np.ndarray
) -> DescribedUnits:
    """The same units, but duplicates only if this second identity is equal as well.

    The identity is mixed into the keys: units that differ in it share no key.
    """
    return DescribedUnits(
        units.present & present,
        combine_hashes(units.identity, identity),
        combine_hashes(units.keys, identity[units.owners, 0]),
        units.owners,
        units.payload,
    )


def identity_only(present: np.ndarray, identity: np.ndarray) -> DescribedUnits:
    """Units that are compared by their identity alone: they have no keys and no payload."""
    no_keys = np.empty(0, np.uint64)
    payload = np.empty((len(present), 0), np.uint64)
    return DescribedUnits(present, identity, no_keys, no_keys.astype(np.int64), payload)
