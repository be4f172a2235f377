"""What the engine asks of a kind of duplicate, and what a kind says of the units of a part.

A unit is what is compared: a record, or an image. In the files of a part units are numbered from
0; across the corpus a unit is a uint64: number of the part << 32 | number in the part.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from manifests.kernels.splitmix64 import GOLDEN, finalise

_SHIFT = np.uint64(32)


class Described(NamedTuple):
    """The units of one part, or of one file of an index.

    `present` (n,) bool: the others are duplicates of nothing. `identity` (n, 2) uint64: units
    with equal identities are duplicates without further proof, and one stands for all of them.
    `keys` (m,) uint64 and `owners` (m,) int64: near-duplicates share at least one key. `payload`
    (n, words) uint64: what is compared where keys meet.
    """

    present: np.ndarray
    identity: np.ndarray
    keys: np.ndarray
    owners: np.ndarray
    payload: np.ndarray


class Entries(NamedTuple):
    """Units that share keys: sorted by key, every key at least twice, then by `mark`.

    `mark` is the first word of the identity, so that the order within a key goes by content.
    """

    keys: np.ndarray
    marks: np.ndarray
    payload: np.ndarray


class Met(NamedTuple):
    """Pairs of positions (k, 2) int64 in some entries, and their similarity (k,) float32."""

    pairs: np.ndarray
    similarity: np.ndarray


class Identity(Protocol):
    """What makes records equal: nothing more to prove. Picklable."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def identify(self, table: pa.Table) -> pa.Array:
        """fixed_size_binary(16) for every row; null where it is equal to nothing."""
        ...

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        """What an index keeps of the rows, so that `identify` reads the index like a corpus."""
        ...


class Kind(Protocol):
    """One kind of near-duplicate. Picklable; knows nothing of parts, files or workers."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `describe` reads."""
        ...

    @property
    def keys_per_unit(self) -> int:
        """About how many keys a unit has."""
        ...

    @property
    def words(self) -> int:
        """Words of payload a unit has."""
        ...

    def describe(self, table: pa.Table) -> Described: ...

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        """What an index keeps of the rows, so that `describe` reads the index like a corpus."""
        ...

    def meet(self, entries: Entries) -> Met:
        """Pairs that share a key and may be duplicates; they are, unless the kind has a `proof`."""
        ...

    @property
    def proof(self) -> Proof | None:
        """How a pair that met is proven; None where `meet` has compared all there is."""
        ...

    @property
    def slices_meet(self) -> bool:
        """Whether the slices of a key too hot for one task are compared with each other too."""
        ...


class Proof(Protocol):
    """Compares what is too large to travel with every key."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def of(self, table: pa.Table) -> pa.Array:
        """list<uint32> for every row: what `similarity` compares."""
        ...

    def similarity(self, pairs: np.ndarray, proofs: pa.Array) -> np.ndarray:
        """float32 for each pair (k, 2) of rows of `proofs`."""
        ...

    @property
    def least(self) -> float:
        """The similarity from which on a pair is one of duplicates."""
        ...


def units_of(part: int, own: np.ndarray) -> np.ndarray:
    """Units of a part by their numbers in the whole corpus, uint64."""
    return (np.uint64(part) << _SHIFT) | own.astype(np.uint64)


def parts_and_rows(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of each unit and its number there, int64."""
    return (units >> _SHIFT).astype(np.int64), (units & np.uint64(0xFFFFFFFF)).astype(np.int64)


def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A hash of two uint64 (splitmix64's finaliser over their combination)."""
    with np.errstate(over="ignore"):
        return finalise(a ^ (b * np.uint64(GOLDEN) + (b >> np.uint64(29))))


def also(described: Described, present: np.ndarray, identity: np.ndarray) -> Described:
    """The same units, duplicates only where this second identity is equal too."""
    return Described(
        described.present & present,
        mixed(described.identity, identity),
        mixed(described.keys, identity[described.owners, 0]),
        described.owners,
        described.payload,
    )


def identities(present: np.ndarray, identity: np.ndarray) -> Described:
    """Units that are compared by identity alone."""
    nothing = np.empty(0, np.uint64)
    payload = np.empty((len(present), 0), np.uint64)
    return Described(present, identity, nothing, nothing.astype(np.int64), payload)


def to_binary(present: np.ndarray, identity: np.ndarray) -> pa.Array:
    """Identities (n, 2) as fixed_size_binary(16), null where not present."""
    values = pa.py_buffer(np.ascontiguousarray(identity))
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(16), len(present), [valid, values])


def from_binary(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """`present` and `identity` (n, 2) of what `to_binary` made."""
    words = np.frombuffer(values.buffers()[1], np.uint64).reshape(-1, 2)
    own = words[values.offset : values.offset + len(values)]
    return np.asarray(values.is_valid()), own
