"""What is known of the units that have a duplicate: their record's id, and how well it ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.contract import parts_and_rows
from filters.duplicates.kinds.perceptual import HASH, MIRROR
from filters.duplicates.phases.forest import Forest
from filters.duplicates.phases.keys import Source
from filters.duplicates.phases.proof import Of
from filters.duplicates.phases.rows import Rows, picked
from filters.duplicates.phases.survivors import Wish
from manifests import record, storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

_UNITS = pa.schema([("unit", pa.uint32())])
_MEMBERS = ".members.arrow"


class Members(NamedTuple):
    """Of each unit of a forest, in its order: its record's id; its ranks (n, wishes) float64,
    less is better; and the hashes of its record's images where they are compared."""

    ids: pa.Array
    ranks: np.ndarray
    hashes: pa.Array | None
    mirrors: pa.Array | None

    def order(self, wood: Forest, foreign: np.ndarray) -> np.ndarray:
        """Positions, the best first; what all ranks leave open is decided by the id."""
        ranks = (self.ranks[:, n] for n in reversed(range(self.ranks.shape[1])))
        return np.lexsort((wood.units, record.id_keys(self.ids), *ranks, ~foreign))


@dataclass(frozen=True)
class ReadMembers:
    """A task: id, ranks and hashes of the members in a source."""

    rows: Rows
    wishes: tuple[Wish, ...]
    hashes: bool
    members: str

    def __call__(self, task: Of, folder: str) -> TaskResult:
        own = np.asarray(parts.open_part(self.members).get_batch(task.batch)["unit"])
        foreign = task.source.number >= len(self.rows.corpus.parts)
        wanted = [] if foreign else [wish.column for wish in self.wishes]
        wanted += ["id", *((HASH, MIRROR) if self.hashes else ())]
        table = picked(self.rows(task.source, tuple(dict.fromkeys(wanted))), own)
        columns = {"id": table["id"]}
        for number, wish in enumerate(self.wishes):
            ranks = np.zeros(len(own)) if foreign else wish.ranks(table)
            columns[f"rank{number}"] = pa.array(ranks)
        if self.hashes:
            columns |= {HASH: table[HASH], MIRROR: table[MIRROR]}
        said = pa.table(columns)
        uri = storage.join(folder, task.name + _MEMBERS)
        return TaskResult([parts.write(uri, said.schema, [said], durable=False)], {})


def members(
    wood: Forest,
    rows: Rows,
    sources: list[Source],
    wishes: tuple[Wish, ...],
    hashes: bool,
    space: Workspace,
) -> Members:
    """Read, on the workers, what decides who stays."""
    numbers, own = parts_and_rows(wood.units)
    concerned, starts = np.unique(numbers, return_index=True)
    uri = storage.join(space.scratch, "members.arrow")
    with parts.writing(uri, _UNITS, durable=False) as file:
        for start, end in zip(starts, np.append(starts, len(own))[1:], strict=True):
            file.write(pa.table([pa.array(own[start:end].astype(np.uint32))], schema=_UNITS))
    tasks = [Of(sources[n], batch) for batch, n in enumerate(concerned.tolist())]
    folder, commits = space.phase("members", ReadMembers(rows, wishes, hashes, uri), tasks)
    files = [storage.join(folder, commit.files[0].name) for commit in commits]
    return _joined(map(parts.read_columns, files), len(wishes), hashes)


def _joined(tables: Iterable[pa.Table], wishes: int, hashes: bool) -> Members:
    found = list(tables)
    if not found:
        return Members(pa.array([], pa.string()), np.empty((0, wishes)), None, None)
    table = pa.concat_tables(found).combine_chunks()
    ranks = [np.asarray(table[f"rank{n}"]) for n in range(wishes)]
    return Members(
        record.one_chunk(table["id"]),
        np.stack(ranks, axis=1) if ranks else np.empty((table.num_rows, 0)),
        record.one_chunk(table[HASH]) if hashes else None,
        record.one_chunk(table[MIRROR]) if hashes else None,
    )


def likeness(known: Members, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How alike the images of two records are, float32: those least alike count, each the way
    round that fits best. Positions of members, whose images are as many."""
    assert known.hashes is not None
    assert known.mirrors is not None
    lists = known.hashes.take(pa.array(first)), known.hashes.take(pa.array(second))
    turned = known.mirrors.take(pa.array(first)), known.mirrors.take(pa.array(second))
    (a, b), (m, n) = (_flat(pair) for pair in (lists, turned))
    distance = np.minimum.reduce([_differ(a, b), _differ(a, n), _differ(m, b)])
    offsets = np.asarray(lists[0].offsets)[:-1]
    worst = np.maximum.reduceat(distance, offsets) if len(distance) else distance
    return (1 - worst / 64).astype(np.float32)


def _flat(pair: tuple[pa.Array, pa.Array]) -> list[np.ndarray]:
    return [np.asarray(pc.fill_null(lists.flatten(), 0)).astype(np.uint64) for lists in pair]


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bits: np.ndarray = np.bitwise_count(a ^ b)
    return bits
