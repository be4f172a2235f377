"""What tests of readers of annotated images share: read a source, and say what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.ingest.reader import Failure, Reader
from tests.make import read_all


def put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())


def read(reader: Reader, base: Path) -> tuple[list[dict[str, Any]], list[Failure]]:
    """The records of a source, their JSON parsed, and its failures."""
    found = read_all(reader, str(base))
    rows = [row for part in found for row in part.records.to_pylist()]
    for row in rows:
        row["meta"] = json.loads(row["meta"] or "{}")
        for thing in row["objects"]:
            thing["attributes"] = json.loads(thing["attributes"] or "{}")
    return rows, [failure for part in found for failure in part.failures]


def objects(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a record, each without what it has not."""
    return [
        {k: v for k, v in thing.items() if v is not None and k != "media"}
        for thing in row["objects"]
    ]


def faults(failures: list[Failure]) -> dict[str, str]:
    """What is told of each failure, by its place in the file."""
    return {failure.key.partition("#")[2]: failure.message for failure in failures}
