"""What tests of readers of annotated images share: files laid down, and records told shortly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from curate.ingest.reader import ReadBatch, Reader
from manifests import record
from tests.ingest.kept import read_kept
from tests.make import make_image, read_all

WIDTH, HEIGHT = 100, 50
PHOTO = make_image(WIDTH, HEIGHT)
"""An image whose pixels are 10 and 20 thousandths."""


class ReadRecords(NamedTuple):
    """All that a reader found: the records by key, shortly, and the faults by key."""

    records: dict[str, dict[str, Any]]
    faults: dict[str, tuple[str, str]]


def write_files(base: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return base


def read_annotated(reader: Reader, base: Path) -> ReadRecords:
    """What a reader finds; every record is one of grounding, of the source `a`."""
    return summarised(
        read_kept(reader, base) if reader.keeps_bytes else read_all(reader, str(base))
    )


def summarised(found: list[ReadBatch]) -> ReadRecords:
    records: dict[str, dict[str, Any]] = {}
    faults: dict[str, tuple[str, str]] = {}
    for batch in found:
        assert batch.records.schema == record.SCHEMA
        for row in batch.records.to_pylist():
            assert (row["modality"], row["source"]) == ("grounding", "a")
            assert row["origin"] not in records
            records[row["origin"]] = _record(row)
        for failure in batch.failures:
            assert failure.key not in faults
            faults[failure.key] = (failure.error, failure.message)
    return ReadRecords(records, faults)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    [medium] = row["media"]
    return {
        "image": medium["uri"],
        "text": [s["text"] for s in row["content"] if s["kind"] == "text"],
        "objects": [_object(one) for one in row["objects"]],
        "meta": json.loads(row["meta"] or "null"),
    }


def _object(one: dict[str, Any]) -> dict[str, Any]:
    """The fields that are there, but `media`; numbers to a thousandth of a unit."""
    assert one["media"] == 0
    there = {k: v for k, v in one.items() if v is not None and k != "media"}
    for name in {"box", "point"} & there.keys():
        there[name] = _rounded(there[name])
    if "polygon" in there:
        there["polygon"] = [_rounded(ring) for ring in there["polygon"]]
    if "attributes" in there:
        there["attributes"] = json.loads(there["attributes"])
    return there


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, 3) for number in numbers]
