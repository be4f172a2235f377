"""Runs the five phases of a search for duplicates: keys, candidate pairs, verification, spanning
forest, survivors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from filters.duplicates.corpus.rows import DescribeSource, ReadFeatures, RowReader
from filters.duplicates.corpus.units import Source, first_unit_id
from filters.duplicates.files import edges
from filters.duplicates.files.edges import Edges
from filters.duplicates.kinds.contract import Identity, Kind
from filters.duplicates.kinds.perceptual import Tolerance
from filters.duplicates.phases.candidates import (
    FindCandidates,
    IdentityRange,
    LinkEqual,
    key_ranges,
)
from filters.duplicates.phases.families import MAX_COMPARED
from filters.duplicates.phases.forest import Forest, spanning_forest
from filters.duplicates.phases.hubs import hub_note, left_note, note
from filters.duplicates.phases.image_proof import ImageProof
from filters.duplicates.phases.keys import LINKS, Sizes, WriteKeys
from filters.duplicates.phases.survivors import (
    Survivors,
    choose_survivors,
    choose_within_distance,
)
from filters.duplicates.phases.verify import verify_pairs
from filters.duplicates.ranking.members import Members, read_members
from filters.duplicates.ranking.sort_key import SortKey
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import Workspace
from manifests.storage import parts

RANGE_BYTES = 64 << 20
"""The largest size of a range in bytes (our choice). A task sorts one range in memory, and needs
about three times this size."""
MAX_COMPARED_ENTRIES = 1 << 17
"""The largest number of entries of one key that one task compares with each other (our choice).
This takes about ten seconds."""
_EQUAL_BYTES = 20
"""The size in bytes of an entry of equal units."""
_NEAR_BYTES = 20
"""The size in bytes of an entry of near units (key, mark and unit), without its payload."""


class Found(NamedTuple):
    """The result of a search: the families (groups) of duplicates, the data of their members, and
    the member of each family that stays."""

    forest: Forest
    members: Members
    survivors: Survivors


class Search(NamedTuple):
    """The settings of a search for duplicates. `sources` are the parts of the corpus (the first
    `corpus_parts` of them), then the index files of earlier runs. `units` is the approximate number
    of units.

    Two units (records or images) are duplicates if all their identities are equal: the identities
    of `equal`, and the identity of `kind`. If two units share a key, `kind` decides whether they
    are duplicates. `proof` compares the images of two records; it is given only in a search for
    records whose images look the same.
    """

    rows: RowReader
    sources: list[Source]
    corpus_parts: int
    units: int
    kind: Kind | None
    equal: tuple[Identity, ...] = ()
    proof: ImageProof | None = None

    def forest(self, space: Workspace, prefix: str = "") -> Forest:
        """Runs phases 1 to 4 and returns the forest of all duplicates. `prefix` is added to folder
        names, so that two searches of one step do not share folders."""
        sizes = self._sizes()
        describe = DescribeSource(self.rows, self.kind, self.equal)
        folder, keys = space.phase(f"{prefix}ranges", WriteKeys(describe, sizes), self.sources)
        link_equal = LinkEqual(folder, self.sources)
        ranges = [IdentityRange(number) for number in range(1 << sizes.equal_bits)]
        equal = space.phase(f"{prefix}equal", link_equal, ranges)
        links = [*_links(folder, keys), *edges.read(*equal)]
        if self.proof is not None and self.kind is None:
            links = [self.proof.links(Edges.joined(links), space)]
        if self.kind is not None:
            near = self._candidates(self.kind, sizes, folder, keys, space, prefix)
            links.append(self._verified(self.kind, near, space))
        return spanning_forest(Edges.joined(links))

    def survivors(
        self,
        forest: Forest,
        keep: tuple[SortKey, ...],
        looks: bool,
        space: Workspace,
        within: Tolerance | None = None,
    ) -> Found:
        """Runs phase 5: chooses the unit (record or image) of each family of duplicates that stays,
        by the sort keys `keep`. If `looks` is true, the hashes and small colour images (8 x 8
        pixels) of the units' images are read too. If `within`, a tolerance, is given, a unit is
        dropped only if it looks the same as a unit that stays: their hashes and colours differ by
        no more than the tolerance allows."""
        members = read_members(forest.units, self.rows, self.sources, keep, looks, space)
        from_earlier_run = forest.units >= first_unit_id(self.corpus_parts)
        order = members.order(forest, from_earlier_run)
        if within is None or not len(forest.units):
            chosen = choose_survivors(forest, order, from_earlier_run)
        else:
            chosen, left = choose_within_distance(forest, order, from_earlier_run, members, within)
            note(space, left_note(left, MAX_COMPARED))
        note(space, hub_note(forest, members, chosen))
        return Found(forest, members, chosen)

    def _candidates(
        self,
        kind: Kind,
        sizes: Sizes,
        folder: str,
        keys: list[Commit],
        space: Workspace,
        prefix: str,
    ) -> Edges:
        hot = _hot_keys(keys, sizes.max_entries)
        first_earlier = first_unit_id(self.corpus_parts)
        find = FindCandidates(kind, folder, self.sources, frozenset(hot), first_earlier)
        across = kind.compare_across_slices
        tasks = key_ranges(sizes.near_bits, hot, sizes.max_entries, across)
        return Edges.joined(edges.read(*space.phase(f"{prefix}near", find, tasks)))

    def _verified(self, kind: Kind, candidates: Edges, space: Workspace) -> Edges:
        if self.proof is not None:
            candidates = self.proof.proven(candidates.distinct(), space)
        if kind.verifier is None:
            return candidates
        read = ReadFeatures(self.rows, kind.verifier)
        return verify_pairs(candidates.distinct(), kind.verifier, self.sources, read, space)

    def _sizes(self) -> Sizes:
        words, keys = (self.kind.words, self.kind.keys_per_unit) if self.kind else (0, 0)
        entry_bytes = _NEAR_BYTES + 8 * words
        each_with_each = self.kind is not None and self.kind.compare_across_slices
        fitting = RANGE_BYTES // entry_bytes
        return Sizes(
            equal_bits=_bits(self.units * _EQUAL_BYTES),
            near_bits=_bits(self.units * keys * entry_bytes),
            max_entries=min(fitting, MAX_COMPARED_ENTRIES) if each_with_each else fitting,
            sources=max(1, len(self.sources)),
        )


def _bits(size_bytes: int) -> int:
    """Returns the smallest b for which each of 2^b equal ranges has at most RANGE_BYTES, if all
    ranges together have `size_bytes`: 200 MB -> 2."""
    return max(0, -(-size_bytes // RANGE_BYTES) - 1).bit_length()


def _links(folder: str, commits: Iterable[Commit]) -> list[Edges]:
    """Reads the pairs of equal units (records or images) within each source, which phase 1 wrote.
    `commits` lists the files of the phase."""
    entries = [entry for commit in commits if (entry := commit.file(LINKS))]
    return [
        edges.from_table(parts.read_columns(storage.join(folder, entry.name))) for entry in entries
    ]


def _hot_keys(commits: Iterable[Commit], max_entries: int) -> dict[int, int]:
    """Returns the keys that have too many entries for one task to compare, with their numbers of
    entries. `commits` has the counts that the tasks of phase 1 returned."""
    total: Counter[int] = Counter()
    for commit in commits:
        total.update({int(key): n for key, n in commit.detail["frequent"].items()})
    return {key: n for key, n in total.items() if n > max_entries}
