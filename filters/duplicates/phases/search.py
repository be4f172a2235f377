"""The search for duplicates, phase by phase: keys, ranges, proof, and the forest of all links."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from filters.duplicates.contract import Identity, Kind, units_of
from filters.duplicates.phases import edges
from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.forest import Forest, forest
from filters.duplicates.phases.keys import LINKS, Sizes, Source, WriteKeys
from filters.duplicates.phases.proof import proven
from filters.duplicates.phases.ranges import MeetNear, MeetSame, SameRange, near_tasks
from filters.duplicates.phases.rows import Describe, ReadProofs, Rows
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import Workspace
from manifests.storage import parts

RANGE_BYTES = 64 << 20
"""Bytes of entries in a range (ours): a task sorts them in memory, about three times that."""
MEETING_ENTRIES = 1 << 17
"""Entries of one key that a task compares each with each (ours): some ten seconds."""
_SAME_BYTES = 20
_NEAR_BYTES = 20  # key, mark and unit; eight more for each word of payload


class Search(NamedTuple):
    """What is looked for, and where: `own` of the sources are parts of the corpus, the others an
    index of an earlier one. `units` is about how many there are. Units with equal identities (all
    of `equal`, and the kind's own) are duplicates; of those that meet, the kind decides."""

    rows: Rows
    sources: list[Source]
    own: int
    units: int
    kind: Kind | None
    equal: tuple[Identity, ...] = ()

    def __call__(self, space: Workspace, name: str = "") -> Forest:
        sizes = self._sizes()
        describe = Describe(self.rows, self.kind, self.equal)
        folder, keyed = space.phase(f"{name}keys", WriteKeys(describe, sizes), self.sources)
        same = space.phase(
            f"{name}equal",
            MeetSame(folder, self.sources),
            [SameRange(n) for n in range(1 << sizes.same_bits)],
        )
        found = [*_links(folder, keyed), *edges.read(*same)]
        if self.kind is not None:
            found.append(self._near(self.kind, folder, keyed, sizes, space, name))
        return forest(Edges.joined(found))

    def _near(
        self,
        kind: Kind,
        folder: str,
        keyed: list[Commit],
        sizes: Sizes,
        space: Workspace,
        name: str,
    ) -> Edges:
        hot = _hot(keyed, sizes.hot)
        foreign = int(units_of(self.own, np.zeros(1))[0])
        work = MeetNear(kind, folder, self.sources, frozenset(hot), foreign)
        tasks = near_tasks(sizes.near_bits, hot, sizes.hot, kind.slices_meet)
        met = Edges.joined(edges.read(*space.phase(f"{name}near", work, tasks)))
        if kind.proof is None:
            return met
        read = ReadProofs(self.rows, kind.proof)
        return proven(met.distinct(), kind.proof, self.sources, read, space)

    def _sizes(self) -> Sizes:
        words, keys = (self.kind.words, self.kind.keys_per_unit) if self.kind else (0, 0)
        entry = _NEAR_BYTES + 8 * words
        square = self.kind is not None and self.kind.slices_meet
        hot = RANGE_BYTES // entry
        return Sizes(
            same_bits=_bits(self.units * _SAME_BYTES),
            near_bits=_bits(self.units * keys * entry),
            hot=min(hot, MEETING_ENTRIES) if square else hot,
            sources=max(1, len(self.sources)),
        )


def _bits(size_bytes: int) -> int:
    """So many bits that a range of 2^bits holds no more than it should."""
    return max(0, -(-size_bytes // RANGE_BYTES) - 1).bit_length()


def _links(folder: str, keyed: list[Commit]) -> list[Edges]:
    entries = [entry for commit in keyed if (entry := commit.file(LINKS))]
    return [
        edges.from_table(parts.read_columns(storage.join(folder, entry.name))) for entry in entries
    ]


def _hot(keyed: list[Commit], most: int) -> dict[int, int]:
    """The keys that more entries share than fit in one task, and how many do."""
    total: Counter[int] = Counter()
    for commit in keyed:
        total.update({int(key): n for key, n in commit.detail["hot"].items()})
    return {key: n for key, n in total.items() if n > most}
