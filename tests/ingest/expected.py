"""Records and failures that a reader makes, and the complete record of a caption to compare."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curate.ingest.reader import Failure, Reader
from manifests import record
from tests.make import read_all

Rows = list[dict[str, Any]]


def rows_and_failures(reader: Reader, base: Path) -> tuple[Rows, list[Failure]]:
    """All records of a source as dicts, and all its failures."""
    batches = read_all(reader, str(base))
    rows = [row for batch in batches for row in batch.records.to_pylist()]
    return rows, [failure for batch in batches for failure in batch.failures]


def kinds(failures: Iterable[Failure]) -> list[tuple[str, str]]:
    """The key and the error class of each failure."""
    return [(failure.key, failure.error) for failure in failures]


def captions(rows: Rows) -> list[str | None]:
    """The caption of each record of one image; None where there is the image alone."""
    return [row["content"][1]["text"] if len(row["content"]) > 1 else None for row in rows]


def caption_record(
    source: str, key: str, text: str, meta: str | None, **media: Any
) -> dict[str, Any]:
    """A record of one image and its caption, with every column; `media` are those not null."""
    return {
        "id": record.record_id(source, key),
        "modality": "caption",
        "source": source,
        "origin": key,
        "content": [
            {"kind": "image", "text": None, "media": 0, "role": None, "loss": False},
            {"kind": "text", "text": text, "media": None, "role": None, "loss": True},
        ],
        "media": [
            {**dict.fromkeys(field.name for field in record.MEDIA), "kind": "image", **media}
        ],
        "objects": [],
        "language": None,
        "raw_text": None,
        "meta": meta,
    }


def write_files(folder: Path, names: Iterable[str], data: bytes) -> None:
    """Files below a folder that all have the same bytes."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
