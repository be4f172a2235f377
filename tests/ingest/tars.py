"""Small WebDataset tars, and the records and failures that a reader makes of them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.reader import Failure
from manifests import record
from manifests.media import Limits, Media, Reference
from tests.make import make_image, read_all

JPEG = make_image(64, 48)
PNG = make_image(32, 40, seed=1, kind="PNG")
SAMPLE = [("jpg", JPEG), ("txt", b"a"), ("json", b'{"n": 1}')]
WEBP = make_image(20, 10, seed=2, kind="WEBP")


def shard(path: Path, members: list[tuple[str, bytes]]) -> WebDataset:
    """A reader of a tar with these members; `a.tar` in the test's folder."""
    with tarfile.open(path / "a.tar", "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return WebDataset(name="web", path="a.tar")


def read_samples(
    reader: WebDataset, base: Path, limits: Limits | None = None
) -> list[dict[str, Any]]:
    """Origin, text, meta and images of every record; bytes are read through the references."""
    rows: list[dict[str, Any]] = []
    media = Media(str(base))
    for found in read_all(reader, str(base), limits):
        assert found.records.schema == record.SCHEMA
        for row in found.records.to_pylist():
            images = row["media"]
            texts = [s["text"] for s in row["content"] if s["kind"] == "text"]
            assert [s["media"] for s in row["content"] if s["kind"] == "image"] == [
                *range(len(images))
            ]
            places = [Reference(m["uri"], m["offset"], m["length"]) for m in images]
            rows.append(
                {
                    "origin": row["origin"],
                    "text": texts[0] if texts else None,
                    "meta": row["meta"] and json.loads(row["meta"]),
                    "bytes": [media.read(place) for place in places],
                    "sizes": [(m["mime"], m["width"], m["height"]) for m in images],
                }
            )
    return rows


def failures(reader: WebDataset, base: Path, limits: Limits | None = None) -> list[Failure]:
    return [failure for found in read_all(reader, str(base), limits) for failure in found.failures]


def failure(key: str, error: str, message: str, units: int = 1) -> Failure:
    """The failure of a sample: one row of the ledger, and `units` members of the tar."""
    return Failure(f"a.tar#{key}", f"a.tar#{key}", error, message, units, rows=1)
