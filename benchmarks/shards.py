"""How fast Arrow shards are written, next to a plain copy of the same bytes, in CPU seconds.

    python benchmarks/shards.py [--images 4000] [--runs 7] [--folder .]

A tar of JPEGs of about 60 KB is made, then by turns: copied by `shutil.copyfile`, which has the
kernel move the bytes and leaves them in its cache; copied by a loop of read and write that ends
with fsync; and written as one shuffled shard, which reads every image where it lies, digests all
that it writes (XXH3, 128 bit) and ends with fsync. The loop does the same reading, writing and
syncing as the shard, so it is the baseline; `copyfile` is the most a machine can do. Page cache
warm; median of the runs.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from curate.emit import formats, order
from curate.emit.settings import Shards
from curate.emit.shard import Job
from manifests import record
from manifests.media import Media
from manifests.storage import parts

DISTINCT = 50


def jpeg(seed: int) -> bytes:
    """A JPEG of 40 to 80 KB: smooth colours under noise."""
    random = np.random.default_rng(seed)
    width = int(random.integers(380, 560))
    coarse = random.integers(0, 255, (6, 8, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, 360), Image.Resampling.BICUBIC)
    noise = random.normal(0, 14, (360, width, 3))
    pixels = np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


def make_tar(path: Path, images: int) -> pa.Table:
    """The tar, and caption records of its members."""
    distinct = [jpeg(seed) for seed in range(DISTINCT)]
    with tarfile.open(path, "w") as out:
        for number in range(images):
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = len(distinct[number % DISTINCT])
            out.addfile(member, io.BytesIO(distinct[number % DISTINCT]))
    with tarfile.open(path) as back:
        places = [(member.offset_data, member.size) for member in back]
    return record.captions(
        "web",
        [f"{path.name}#{number:06d}" for number in range(images)],
        pa.array([f"{path.name}#{number:06d}.jpg" for number in range(images)]),
        pa.array([f"an image of number {number}, in words" for number in range(images)]),
        record.ImageColumns(
            pa.repeat(path.name, images),
            pa.array([offset for offset, _ in places]),
            pa.array([length for _, length in places]),
            pa.repeat("image/jpeg", images),
        ),
    )


def ordered(folder: Path, table: pa.Table) -> pa.Table:
    """The rows as the engine's first round leaves them for the one shard."""
    pieces = order.bucket(table, 17, 1)
    parts.write(str(folder / "sorted.arrow"), pieces[0].schema, pieces)
    return pa.concat_tables(order.gather([str(folder / "sorted.arrow")], 0).tables)


def copy_by_kernel(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def copy_by_loop(source: Path, target: Path) -> None:
    with open(source, "rb", buffering=0) as read, open(target, "wb", buffering=0) as written:
        while block := read.read(1 << 20):
            written.write(block)
        os.fsync(written.fileno())


def write_shard(folder: Path, table: pa.Table) -> None:
    job = Job(str(folder / "out"), 0, 1, table.schema, iter([table]), Media(str(folder)), Shards())
    assert formats.write("arrow", job).rows == table.num_rows


def cpu_seconds(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="on the disk to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, source = Path(name), Path(name) / "in.tar"
        table = ordered(folder, make_tar(source, given.images))
        shard = folder / "out" / "data-00000-of-00001.arrow"
        works: dict[str, tuple[Path, Callable[[], None]]] = {
            "copyfile": (folder / "a", lambda: copy_by_kernel(source, folder / "a")),
            "read, write, fsync": (folder / "b", lambda: copy_by_loop(source, folder / "b")),
            "arrow shard": (shard, lambda: write_shard(folder, table)),
        }
        taken: dict[str, list[float]] = {what: [] for what in works}
        for _ in range(given.runs):
            for what, (target, work) in works.items():
                taken[what].append(cpu_seconds(work))
                size_bytes = target.stat().st_size
                target.unlink()
    report(taken, size_bytes, given.images)


def report(taken: dict[str, list[float]], size_bytes: int, images: int) -> None:
    medians = {what: statistics.median(seconds) for what, seconds in taken.items()}
    ours = medians["arrow shard"]
    print(f"{images} JPEGs, {size_bytes / 1e6:.0f} MB\n")
    print(f"{'':20} {'CPU s':>7} {'GB/CPU s':>9} {'shard, of its rate':>19}")
    for what, seconds in medians.items():
        rate = size_bytes / 1e9 / seconds
        print(f"{what:20} {seconds:7.3f} {rate:9.2f} {seconds / ours:19.0%}")
    print(f"\n{images / ours:,.0f} images a CPU second")


if __name__ == "__main__":
    main()
