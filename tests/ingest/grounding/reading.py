"""Files written for tests of grounding readers, and what the readers make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from curate.ingest.reader import Failure, ReadBatch, Reader
from manifests import record
from tests.ingest.kept import read_kept
from tests.make import make_image

WIDTH, HEIGHT = 100, 50
PHOTO = make_image(WIDTH, HEIGHT)
"""An image whose pixels are 10 thousandths wide and 20 high."""


class ReadRecords(NamedTuple):
    """What a reader found: the records by origin, summarised; error and message of each failure,
    by key."""

    records: dict[str, dict[str, Any]]
    failures: dict[str, tuple[str, str]]


def write_file(path: Path, content: Any) -> None:
    """Bytes and text as they are, any other value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def write_files(base: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        write_file(base / name, content)
    return base


def read_source(reader: Reader, base: Path) -> list[ReadBatch]:
    return read_kept(reader, base)


def read_annotated(reader: Reader, base: Path) -> ReadRecords:
    """What a reader finds; every record is of the modality grounding and the source `a`."""
    return summarised(read_source(reader, base))


def summarised(batches: list[ReadBatch]) -> ReadRecords:
    records: dict[str, dict[str, Any]] = {}
    failures: dict[str, tuple[str, str]] = {}
    for batch in batches:
        assert batch.records.schema == record.SCHEMA
        for row in batch.records.to_pylist():
            assert (row["modality"], row["source"]) == ("grounding", "a")
            assert row["origin"] not in records
            records[row["origin"]] = _summary(row)
        for failure in batch.failures:
            assert failure.key not in failures
            failures[failure.key] = (failure.error, failure.message)
    return ReadRecords(records, failures)


def read_rows(reader: Reader, base: Path) -> tuple[list[dict[str, Any]], list[Failure]]:
    """The records of a source, with `meta` and `attributes` parsed, and its failures."""
    batches = read_source(reader, base)
    rows = [row for batch in batches for row in batch.records.to_pylist()]
    for row in rows:
        row["meta"] = json.loads(row["meta"] or "{}")
        for annotated in row["objects"]:
            annotated["attributes"] = json.loads(annotated["attributes"] or "{}")
    return rows, [failure for batch in batches for failure in batch.failures]


def objects(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a record, without `media` and without null fields."""
    return [_fields(annotated) for annotated in row["objects"]]


def messages(failures: list[Failure]) -> dict[str, str]:
    """The message of each failure, by its place in the file."""
    return {failure.key.partition("#")[2]: failure.message for failure in failures}


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    [medium] = row["media"]
    return {
        "image": medium["uri"],
        "text": [s["text"] for s in row["content"] if s["kind"] == "text"],
        "objects": [_object(annotated) for annotated in row["objects"]],
        "meta": json.loads(row["meta"] or "null"),
    }


def _fields(annotated: dict[str, Any]) -> dict[str, Any]:
    assert annotated["media"] == 0
    return {k: v for k, v in annotated.items() if v is not None and k != "media"}


def _object(annotated: dict[str, Any]) -> dict[str, Any]:
    """The fields of an object, numbers rounded to a thousandth of a unit."""
    fields = _fields(annotated)
    for name in {"box", "point"} & fields.keys():
        fields[name] = _rounded(fields[name])
    if "polygon" in fields:
        fields["polygon"] = [_rounded(ring) for ring in fields["polygon"]]
    if "attributes" in fields:
        fields["attributes"] = json.loads(fields["attributes"])
    return fields


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, 3) for number in numbers]
