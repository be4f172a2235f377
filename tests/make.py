"""Small inputs of tests, and everything that a reader reads from them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.ingest.reader import Context, ReadBatch, Reader, Split
from manifests import storage
from manifests.errors import FileError
from manifests.media import Limits, Media
from manifests.media.blobs import BlobFile

WORDS = ("red", "blue", "green", "small", "large", "round", "old", "house", "tree", "river")


def make_image(width: int = 64, height: int = 48, seed: int = 0, kind: str = "JPEG") -> bytes:
    """An image of smooth random colours, encoded."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def write_json_lines(path: Path, rows: Iterable[dict[str, Any] | bytes]) -> None:
    """One line for each row; bytes are written as they are, so that a line may be broken."""
    encoded = (row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    path.write_bytes(b"".join(line + b"\n" for line in encoded))


def write_captions(folder: Path, files: int = 3, rows: int = 40, start: int = 0) -> None:
    """JSON lines of captions with images beside them; every seventh caption is short."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for seed in range(4):
        (folder / "images" / f"{seed}.jpg").write_bytes(make_image(64 + seed, 48, seed))
    for number in range(start, start + files):
        lines = (_caption(number, row) for row in range(rows))
        write_json_lines(folder / f"{number:03d}.jsonl", lines)


def _caption(number: int, row: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + row * k) % len(WORDS)] for k in range(1, 3 if row % 7 == 0 else 8)]
    return {"caption": f"{' '.join(words)} {number} {row}", "image": f"images/{row % 4}.jpg"}


def write_texts(
    folder: Path, texts: Sequence[str], files: int = 3, **columns: Sequence[Any]
) -> None:
    """JSON lines of texts and of other columns, distributed over files in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"text": text, **{name: values[n] for name, values in columns.items()}}
        for n, text in enumerate(texts)
    ]
    for number in range(files):
        write_json_lines(folder / f"{number:03d}.jsonl", rows[number::files])


def read_all(reader: Reader, base: str = "", limits: Limits | None = None) -> list[ReadBatch]:
    """Everything that a reader makes of its source, split by split."""
    found: list[ReadBatch] = []
    for split in splits(reader, base):
        context = Context(base, Media(base, limits=limits), BlobFile())
        found += read_counted(reader, split, context)
    return found


def read_counted(reader: Reader, split: Split, context: Context) -> list[ReadBatch]:
    """Everything that a reader makes of a split, and a check that it answers for all units."""
    read = list(reader.read(split, context))
    count = next((b.found for b in read if b.found), None)
    with contextlib.suppress(FileError):  # a broken file cannot be counted
        count = count or reader.count(split, context)
    if count is not None:
        used = sum(b.records.num_rows if b.units is None else b.units for b in read)
        failed = sum(failure.units for b in read for failure in b.failures)
        aside = sum(count.left_aside.values()) + sum(sum(b.left_aside.values()) for b in read)
        assert used + failed + aside == count.units, (used, failed, aside, count)
    return read


def splits(reader: Reader, base: str = "") -> list[Split]:
    context = Context(base, Media(base), BlobFile())
    out: list[Split] = []
    for group in reader.groups(reader.list_files(base)):
        out += [Split(tuple(group))] if len(group) > 1 else list(reader.splits(group[0], context))
    return out


def keeping(path: str, sink: storage.Sink) -> BlobFile:
    return BlobFile(f"kept:{path}", lambda: sink)
