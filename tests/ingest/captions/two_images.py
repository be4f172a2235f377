"""Two images, and readers of JSON files of captions that read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.ingest.reader import Context, Count, Failure, Reader
from manifests.media import Media
from manifests.media.blobs import BlobFile
from tests.ingest.expected import rows_and_failures
from tests.make import make_image, splits

DOG_JPEG, CAT_PNG = make_image(64, 48), make_image(32, 16, kind="PNG")
DOG = {"length": len(DOG_JPEG), "mime": "image/jpeg", "width": 64, "height": 48}
CAT = {"length": len(CAT_PNG), "mime": "image/png", "width": 32, "height": 16}


def write_images(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "dog.jpg").write_bytes(DOG_JPEG)
    (folder / "sub" / "cat.png").write_bytes(CAT_PNG)
    (folder / "text.jpg").write_bytes(b"no image")


def read(folder: Path, reader: Reader, data: Any) -> tuple[list[Any], list[Failure]]:
    whole = data if isinstance(data, bytes) else json.dumps(data).encode()
    (folder / reader.path).write_bytes(whole)
    return rows_and_failures(reader, folder)


def counted(reader: Reader, folder: Path) -> tuple[list[Count | None], int, dict[str, int]]:
    """Counts by split, the units that records and failures state, and what was left aside."""
    context = Context(str(folder), Media(str(folder)), BlobFile())
    counts, units, left_aside = [], 0, dict[str, int]()
    for split in splits(reader, str(folder)):
        counts.append(reader.count(split, context))
        for found in reader.read(split, context):
            units += found.records.num_rows if found.units is None else found.units
            units += sum(failure.units for failure in found.failures)
            for kind, number in found.left_aside.items():
                left_aside[kind] = left_aside.get(kind, 0) + number
    return counts, units, left_aside
