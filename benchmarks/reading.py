"""Rows per CPU second of common readers, beside the time that only parsing the file takes.

    python -m benchmarks.reading [--rows 200000]

Each reader makes records from captions, and its units are counted, as in a run; nothing is
written. The last column is the share of counting in this time. Parsing is orjson for each line or
for the whole file, Python's csv module, or pyarrow. The best of three rounds is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.text_steps import captions
from curate.engine.garbage import only_new_objects
from curate.ingest.captions.coco_captions import CocoCaptions
from curate.ingest.captions.table import Table
from curate.ingest.reader import Context, Reader
from manifests.media import Media
from manifests.media.blobs import BlobFile

ROUNDS = 3
IMAGE = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000040000000300802000000")
"""The header of a PNG of 64 x 48 pixels: more is not read."""


def written(folder: Path, texts: list[str]) -> dict[str, tuple[Reader, Callable[[], object]]]:
    """Write the same captions in each format. Returns each reader and the function that only
    parses its file."""
    rows: list[dict[str, Any]] = [{"id": n, "text": text} for n, text in enumerate(texts)]
    lines, table, columns, coco = (
        folder / f"a.{end}" for end in ("jsonl", "csv", "parquet", "json")
    )
    lines.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    with table.open("w", newline="") as out:
        csv.writer(out).writerows([["id", "text"], *(row.values() for row in rows)])
    pq.write_table(pa.Table.from_pylist(rows), columns)
    _write_coco(coco, texts)
    return {
        "table, JSON lines": (_table(lines), lambda: _parse_lines(lines)),
        "table, CSV": (_table(table), lambda: _parse_csv(table)),
        "table, parquet": (_table(columns), lambda: pq.read_table(columns)),
        "coco_captions": (
            CocoCaptions(name="made", path=str(coco), media_root=str(folder)),
            lambda: orjson.loads(coco.read_bytes()),
        ),
    }


def _write_coco(path: Path, texts: list[str]) -> None:
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(min(1000, len(texts)))]
    for image in images:
        (path.parent / str(image["file_name"])).write_bytes(IMAGE)
    annotations = [
        {"id": n, "image_id": n % len(images), "caption": text} for n, text in enumerate(texts)
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))


def _table(path: Path) -> Table:
    return Table(name="made", path=str(path), text="text")


def _parse_lines(path: Path) -> None:
    with path.open("rb") as lines:
        for line in lines:
            orjson.loads(line)


def _parse_csv(path: Path) -> None:
    with path.open(newline="") as lines:
        for _ in csv.reader(lines):
            pass


def read(reader: Reader) -> int:
    """Read and count all splits. Returns the number of records."""
    records = 0
    for group in reader.groups(reader.list_files("")):
        for split in reader.splits(group[0], _context()):
            context = _context()
            records += sum(batch.records.num_rows for batch in reader.read(split, context))
            reader.count(split, context)
    return records


def count(reader: Reader) -> None:
    """Count the units of all splits, without reading them."""
    for group in reader.groups(reader.list_files("")):
        for split in reader.splits(group[0], _context()):
            reader.count(split, _context())


def _context() -> Context:
    return Context("", Media(""), BlobFile())


def seconds(work: Callable[[], object]) -> float:
    """The least CPU time of several rounds."""
    times = []
    for _ in range(ROUNDS):
        with only_new_objects():
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--rows", type=int, default=200_000)
    rows = options.parse_args().rows
    print(f"{rows:,} captions: rows/CPU-s of the reader, and of only parsing the file; counting")
    with tempfile.TemporaryDirectory() as folder:
        for name, (reader, parse) in written(Path(folder), captions(rows).to_pylist()).items():
            assert read(reader) == rows, name  # compiles and imports, too
            works = (partial(read, reader), parse, partial(count, reader))
            ours, theirs, counting = (seconds(work) for work in works)
            rates = f"{rows / ours:12,.0f} {rows / theirs:12,.0f}"
            print(f"  {name:<20} {rates} {counting / ours:9.1%}", flush=True)


if __name__ == "__main__":
    main()
