"""What the steps `duplicates` and `duplicate_images` decide about each record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from filters.duplicates.duplicate_images import DuplicateImages
from filters.duplicates.duplicates import Duplicates
from manifests import record
from manifests.run import manifest
from manifests.run.manifest import RunManifest
from manifests.step import Corpus, CorpusStep
from manifests.storage import parts as part_files
from tests.filters.corpus_steps import MemoryCorpus, decide, temporary_workspace
from tests.filters.duplicates.records import SOURCE, in_parts
from tests.runs import order_pass, part_tables

_COLUMNS = ("survivor", "of", "similarity", "family")


class RecordOutcome(NamedTuple):
    """What `duplicates` decides about one record; other records are named by key or by id."""

    survivor: str | None = None
    of: str | None = None
    similarity: float | None = None
    family: int = 1
    reason: str | None = None

    @property
    def stays(self) -> bool:
        return self.reason is None


def find_duplicates(
    records: Sequence[dict[str, Any]], /, parts: int = 3, **settings: Any
) -> dict[str, RecordOutcome]:
    """The outcome of `duplicates` with these settings for each record, by key."""
    return outcomes_in(in_parts(records, parts), records, **settings)


def outcomes_in(
    corpus: MemoryCorpus, records: Iterable[dict[str, Any]], /, **settings: Any
) -> dict[str, RecordOutcome]:
    """As `find_duplicates`, of a corpus that is in parts already."""
    keys = {record.record_id(SOURCE, r["key"]): r["key"] for r in records}
    found: dict[str, RecordOutcome] = {}
    for part, outcome in decide(Duplicates.model_validate(settings), corpus):
        ids = corpus.read(part, ("id",))["id"].to_pylist()
        assert outcome.drop is not None
        columns = [outcome.columns[name].to_pylist() for name in _COLUMNS]
        for record_id, survivor, by, *rest in zip(
            ids, *columns, outcome.drop.to_pylist(), strict=True
        ):
            kept, nearest = (None if one is None else keys[one] for one in (survivor, by))
            found[keys[record_id]] = RecordOutcome(kept, nearest, *rest)
    return found


def find_duplicate_images(
    rows: Sequence[dict[str, Any]], parts: int = 3, **settings: Any
) -> dict[str, dict[str, Any]]:
    """The columns of `duplicate_images` and `drop` for each record, by key."""
    corpus = in_parts(rows, parts)
    keys = {record.record_id(SOURCE, r["key"]): r["key"] for r in rows}
    found: dict[str, dict[str, Any]] = {}
    for part, outcome in decide(DuplicateImages.model_validate(settings), corpus):
        ids = corpus.read(part, ("id",))["id"].to_pylist()
        assert outcome.drop is not None
        columns = {n: c.to_pylist() for n, c in {**outcome.columns, "drop": outcome.drop}.items()}
        columns["survivors"] = [[keys[i] for i in some] for some in columns["survivors"]]
        for number, record_id in enumerate(ids):
            found[keys[record_id]] = {name: values[number] for name, values in columns.items()}
    return found


def outcomes_of_run(base: Path, out: str, step: str = "duplicates") -> dict[str, RecordOutcome]:
    """The outcome of every record that a step of a finished run looked at, by id."""
    made = manifest.load_run(str(base / out))
    found: dict[str, RecordOutcome] = {}
    for entry in made.passes:
        folder = base / out / entry.folder
        described = manifest.load_pass(str(folder))
        if entry.kind != "corpus" or described.steps[0]["name"] != step:
            continue
        for commit in described.parts:
            if dropped := commit.file(".dropped.arrow"):
                found |= _dropped(part_files.read_columns(str(folder / dropped.name)), step)
        found |= _kept(made, base / out, step)
    return found


def _dropped(table: pa.Table, step: str) -> dict[str, RecordOutcome]:
    columns = [table[f"{step}.{name}"].to_pylist() for name in _COLUMNS]
    rows = zip(*columns, table["reason"].to_pylist(), strict=True)
    return dict(zip(table["id"].to_pylist(), (RecordOutcome(*row) for row in rows), strict=True))


def _kept(made: RunManifest, out: Path, step: str) -> dict[str, RecordOutcome]:
    """The records that reach the order of the shards."""
    found: dict[str, RecordOutcome] = {}
    for table in part_tables(out, order_pass(made)):
        sizes = zip(table["id"].to_pylist(), table[f"{step}.family"].to_pylist(), strict=True)
        found |= {record_id: RecordOutcome(family=size) for record_id, size in sizes}
    return found


def pair_counts(corpus: Corpus, step: CorpusStep) -> dict[str, int]:
    """How many pairs the files of each phase contain."""
    counts = {}
    with temporary_workspace() as workspace:
        step.fit(corpus, workspace, 0)
        for phase in ("ranges", "equal", "near"):
            files = Path(workspace.scratch, phase).glob("*.arrow")
            tables = (part_files.read_columns(str(path)) for path in files)
            counts[phase] = sum(t.num_rows for t in tables if "similarity" in t.column_names)
    return counts


def kept_keys(outcomes: Mapping[str, RecordOutcome]) -> set[str]:
    return {key for key, one in outcomes.items() if one.stays}


def families(outcomes: Mapping[str, RecordOutcome]) -> set[frozenset[str]]:
    """Families of two or more: the survivor with all records that were dropped for it."""
    found: dict[str, set[str]] = {}
    for key, one in outcomes.items():
        if one.survivor is not None:
            found.setdefault(one.survivor, {one.survivor}).add(key)
    return {frozenset(members) for members in found.values()}
