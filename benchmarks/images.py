"""Images per CPU second until format and size are known: `python -m benchmarks.images`.

A tar of small JPEG, PNG and WebP images is read as a source (index, sidecars, header probe,
records), and its shapes are measured. The header probe alone is compared with `PIL.Image.open`,
which reads no pixel either, and with a full decode. One process, page cache warm, best of three.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.run_step import run_step
from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.reader import Context
from filters.image.image_shape import ImageShape
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.media.header import probe
from tests.make import make_image

IMAGES, DISTINCT = 6000, 60
KINDS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


def images() -> list[tuple[str, bytes]]:
    """Images of 320 x 240 pixels and more, each with its file ending."""
    kinds = list(KINDS)
    return [
        (KINDS[kinds[n % 3]], make_image(320 + n, 240, n, kinds[n % 3])) for n in range(DISTINCT)
    ]


def write_tar(path: Path, found: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for number in range(IMAGES):
            ending, data = found[number % DISTINCT]
            for name, content in (
                (f"{number:06d}.{ending}", data),
                (f"{number:06d}.txt", b"a cat"),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def rate(work: Callable[[], object], count: int) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return count / best


def read_and_measure(folder: str) -> None:
    reader, media = WebDataset(name="made", path="made.tar"), Media(folder)
    context = Context(folder, media, BlobFile())
    rows = 0
    for file in reader.list_files(folder):
        for split in reader.splits(file, context):
            for found in reader.read(split, context):
                run_step(ImageShape(min_side=64), found.records, media)
                rows += found.records.num_rows
    assert rows == IMAGES, rows


def main() -> None:
    found = images()
    data = [content for _, content in found] * (IMAGES // DISTINCT)
    with tempfile.TemporaryDirectory() as folder:
        write_tar(Path(folder) / "made.tar", found)
        rates = {
            "tar to records, probed, shape measured": rate(
                lambda: read_and_measure(folder), IMAGES
            ),
            "header probe alone": rate(lambda: [probe(d) for d in data], IMAGES),
            "PIL.Image.open (header alone)": rate(
                lambda: [Image.open(io.BytesIO(d)).size for d in data], IMAGES
            ),
            "PIL full decode": rate(
                lambda: [Image.open(io.BytesIO(d)).load() for d in data[:600]], 600
            ),
        }
    for name, found_rate in rates.items():
        print(f"{name:<42}{found_rate:>10,.0f} images/CPU-s")


if __name__ == "__main__":
    main()
