"""Reads a source as the engine does: the splits, then each of them counted against the disk."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from curate import catalog
from curate.engine import splits
from curate.engine.counting import CountedRead
from curate.engine.inline import Inline
from curate.engine.media_options import MediaOptions
from curate.ingest import evidence
from curate.ingest.reader import Context, Failure, Reader, Split
from manifests import record, storage
from manifests.errors import CurateError
from manifests.media import Limits, Media
from manifests.run import saved_splits
from manifests.run.counted import Counted, total_counted
from tests.hunt.made import IMAGES, IN, Files
from tests.hunt.seen import Seen, seen
from tests.hunt.words import names_by_digest, write_photos
from tests.make import keeping

NAMED = ("id", "modality", "source", "origin", "language", "meta")


class Observed(NamedTuple):
    """What a reader made of a source: its records, failures and counts, the error that refused it,
    and every text that goes into files with a digest. `named` has what the records show beside
    their content: the columns in NAMED."""

    records: Counter[Seen]
    ids: list[str]
    named: Counter[tuple[str | None, ...]]
    failures: list[Failure]
    counted: list[Counted]
    refused: str | None
    digested: str

    @property
    def units(self) -> int:
        return sum(one.found for one in self.counted)


def prepare(base: Path) -> None:
    """Makes the folder of trials, with the images that all sources share."""
    write_photos(base / IMAGES)
    (base / "work").mkdir(exist_ok=True)


def write_source(base: Path, files: Files) -> None:
    """Replaces the source in the folder of a trial."""
    shutil.rmtree(base / IN, ignore_errors=True)
    for name, data in files.items():
        path = base / IN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def observe(name: str, settings: Mapping[str, Any], base: Path) -> Observed:
    """Reads the source in a folder with the reader of this name."""
    reader = catalog.resolve_reader(name).model_validate({"name": "a", **settings})
    options = MediaOptions(str(base), str(base), Limits())
    (base / "work" / saved_splits.NAME).unlink(missing_ok=True)
    reading = _Reading(reader, base)
    try:
        for split in splits.of_source(reader, options, str(base / "work"), Inline()):
            reading.read(split)
        reader.check_evidence(evidence.total(reading.evidence))
    except CurateError as error:
        return reading.observed(str(error))
    return reading.observed(None)


class _Reading:
    """Reads splits, and keeps what came of them."""

    def __init__(self, reader: Reader, base: Path) -> None:
        self._reader, self._base = reader, base
        self._media = Media(str(base), str(base), Limits())
        self.records: Counter[Seen] = Counter()
        self.rows: list[dict[str, Any]] = []
        self.failures: list[Failure] = []
        self.counted: list[Counted] = []
        self.evidence: list[evidence.Findings] = []

    def read(self, split: Split) -> None:
        start, kept = len(self.rows), f"kept{len(self.counted)}.bin"
        with storage.writing(str(self._base / kept), durable=False) as sink:
            context = Context(str(self._base), self._media, keeping(kept, sink))
            read = CountedRead(self._reader, split, context)
            for batch in read:
                assert batch.records.schema == record.SCHEMA
                assert {*batch.records["modality"].to_pylist()} <= {*self._reader.modalities}
                batch.records.validate(full=True)
                self.rows += batch.records.to_pylist()
                self.failures += batch.failures
        self.counted.append(read.counted)
        self.evidence.append(read.evidence)
        rows = self.rows[start:]
        self.records.update(seen(row, self._media, names_by_digest()) for row in rows)

    def observed(self, refused: str | None) -> Observed:
        digested = json.dumps([self.rows, self.failures], ensure_ascii=False)
        ids = [row["id"] for row in self.rows]
        counted = total_counted(self.counted)
        named = Counter(tuple(row[name] for name in NAMED) for row in self.rows)
        return Observed(self.records, ids, named, self.failures, counted, refused, digested)
