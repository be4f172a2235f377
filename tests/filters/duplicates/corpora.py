"""Corpora in memory, cut into parts as a test likes, and what the steps say of every record."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.workspace import Workspace
from filters.duplicates.duplicate_images import DuplicateImages
from filters.duplicates.duplicates import Duplicates
from manifests import record
from manifests.step import Corpus, CorpusStep, Executor, Outcome, Part
from manifests.storage import parts as part_files

SOURCE = "made"
HASHES = pa.list_(pa.uint64())
MORE_COLUMNS = {
    "image_hash.hash": HASHES,
    "image_hash.mirror": HASHES,
    "embed.vector": pa.list_(pa.float32()),
    "embed.nearest": pa.list_(pa.int32()),
    "embed.cluster": pa.int32(),
    "score.value": pa.float64(),
}


class Held(NamedTuple):
    """A corpus of tables, one a part."""

    tables: tuple[pa.Table, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(n, f"part-{n:03d}", t.num_rows) for n, t in enumerate(self.tables))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        table = self.tables[part.number]
        return table if columns is None else table.select(list(columns))


class Said(NamedTuple):
    """What `duplicates` says of one record; records go by their keys."""

    survivor: str | None = None
    of: str | None = None
    similarity: float | None = None
    family: int = 1
    reason: str | None = None

    @property
    def stays(self) -> bool:
        return self.reason is None


def row(key: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    """A record: `hashes` (and `mirrors`, or images that are their own mirror image) of its
    images, `digests` of its media, `vector`, `nearest`, `cluster`, `score`, or any column."""
    content = [] if text is None else [{"kind": "text", "text": text}]
    hashes = more.pop("hashes", [])
    digests = more.pop("digests", [None] * len(hashes))
    made = {
        "key": key,
        "origin": key,
        "content": content,
        "media": [{"kind": "image", "uri": f"{key}.jpg", "digest": d} for d in digests],
        "image_hash.hash": hashes,
        "image_hash.mirror": more.pop("mirrors", hashes),
    }
    known = {"vector", "nearest", "cluster"}
    made |= {f"embed.{name}": more.pop(name) for name in known & set(more)}
    if "score" in more:
        made["score.value"] = more.pop("score")
    return made | more


def texts(said: Mapping[str, str | None]) -> list[dict[str, Any]]:
    return [row(key, text) for key, text in said.items()]


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Records with all columns that a test may ask for; of the source that each names."""
    made = record.from_rows(list(rows), SOURCE, "caption")
    for name, kind in MORE_COLUMNS.items():
        made = made.append_column(name, pa.array([r.get(name) for r in rows], kind))
    source = pa.array([r.get("source", SOURCE) for r in rows])
    return made.set_column(made.schema.get_field_index("source"), "source", source)


def held(rows: Sequence[dict[str, Any]], parts: int = 3) -> Held:
    """The rows dealt out to parts, one after the other."""
    return Held(tuple(table(rows[number::parts]) for number in range(parts)))


@contextmanager
def space(executor: Executor | None = None) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        yield Workspace(folder, "token", folder, executor or Inline(), Progress(quiet=True), "test")


def decided(step: CorpusStep, corpus: Corpus) -> list[tuple[Part, Outcome]]:
    """The outcomes of every part, checked to be as declared."""
    with space() as workspace:
        found = list(step.decide(corpus, workspace, 0))
    assert sorted(part.number for part, _ in found) == list(range(len(corpus.parts)))
    for part, outcome in found:
        assert set(outcome.columns) == {*step.measures, *step.rewrites}
        for name, kind in step.measures.items():
            assert pa.chunked_array([outcome.columns[name]]).type == kind
            assert len(outcome.columns[name]) == part.rows
    return found


def pairs_made(corpus: Corpus, step: CorpusStep) -> dict[str, int]:
    """How many pairs are in the files of each phase."""
    made = {}
    with space() as workspace:
        list(step.decide(corpus, workspace, 0))
        for phase in ("keys", "equal", "near"):
            files = Path(workspace.scratch, phase).glob("*.arrow")
            tables = (part_files.read_columns(str(path)) for path in files)
            made[phase] = sum(t.num_rows for t in tables if "similarity" in t.column_names)
    return made


def duplicates(
    records: Sequence[dict[str, Any]], /, parts: int = 3, **settings: Any
) -> dict[str, Said]:
    """What the step `duplicates` of these settings says of each record, by key."""
    return of(held(records, parts), records, **settings)


def of(corpus: Held, records: Iterable[dict[str, Any]], /, **settings: Any) -> dict[str, Said]:
    keys = {record.record_id(SOURCE, r["key"]): r["key"] for r in records}
    said: dict[str, Said] = {}
    for part, outcome in decided(Duplicates.model_validate(settings), corpus):
        ids = corpus.read(part, ("id",))["id"].to_pylist()
        names = ("survivor", "of", "similarity", "family")
        assert outcome.drop is not None
        columns = [*(outcome.columns[name].to_pylist() for name in names), outcome.drop.to_pylist()]
        for record_id, survivor, by, *rest in zip(ids, *columns, strict=True):
            named = (None if one is None else keys[one] for one in (survivor, by))
            said[keys[record_id]] = Said(*named, *rest)
    return said


def staying(said: Mapping[str, Said]) -> set[str]:
    return {key for key, one in said.items() if one.stays}


def families(said: Mapping[str, Said]) -> set[frozenset[str]]:
    """Those of more than one: the keys of a survivor and of all that were dropped for it."""
    found: dict[str, set[str]] = {}
    for key, one in said.items():
        if one.survivor is not None:
            found.setdefault(one.survivor, {one.survivor}).add(key)
    return {frozenset(members) for members in found.values()}


def duplicate_images(
    rows: Sequence[dict[str, Any]], parts: int = 3, **settings: Any
) -> dict[str, dict[str, Any]]:
    """What `duplicate_images` says of each record, by key: its columns and `drop`."""
    corpus = held(rows, parts)
    keys = {record.record_id(SOURCE, r["key"]): r["key"] for r in rows}
    said: dict[str, dict[str, Any]] = {}
    for part, outcome in decided(DuplicateImages.model_validate(settings), corpus):
        ids = corpus.read(part, ("id",))["id"].to_pylist()
        assert outcome.drop is not None
        columns = {n: c.to_pylist() for n, c in {**outcome.columns, "drop": outcome.drop}.items()}
        columns["survivors"] = [[keys[i] for i in some] for some in columns["survivors"]]
        for number, record_id in enumerate(ids):
            said[keys[record_id]] = {name: values[number] for name, values in columns.items()}
    return said


def by_id(keys: Iterable[str]) -> list[str]:
    """Keys in the order of their records' ids."""
    return sorted(keys, key=lambda key: record.record_id(SOURCE, key))


def flipped(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def digest(number: int) -> str:
    """A digest as `media_digest` tells it, of an image by its number."""
    return hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest()


def random_hashes(seed: int, count: int) -> list[int]:
    """Hashes of images that do not look alike."""
    drawn = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    return [int(value) for value in drawn]
