"""Cost and recall of perceptual hashes, compared with imagehash's phash.

    python -m benchmarks.image_hash [--photos FOLDER] [--count 200] [--rounds 5]

Files are read from disk: JPEGs made here, 640 x 480 with detail at four sizes, sequential and
progressive; and those of a folder, if one is given.

The first table is CPU microseconds an image. A pass decodes each image once, at the scale that its
most demanding step asks for. For passes that ask for a shorter side of 32 (`image_hash` alone), 64
(with `image_decodes`), and 256: the shared decode, and what hashing the decoded images of a batch
adds; and `imagehash.phash` of images opened by Pillow, if that package is installed. All take turns
in one process, and the cheapest round of each counts.

Then copies are made by edits: the share of them found within 6 and within 10 bits, and how near
different images come.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image, ImageOps

from benchmarks.run_step import run_step
from filters.image.image_hash import ImageHash, hash_images
from manifests.media import Media, Reference
from manifests.record import media_lists
from manifests.record.images import image_rows
from tests.filters.rows import media_records

try:
    import imagehash
except ModuleNotFoundError:
    imagehash = None

WIDTH, HEIGHT, BATCH_ROWS = 640, 480, 128
DISTANCES = (6, 10)
SIDES = {"image_hash alone": 32, "with image_decodes": 64, "with a step at 256 pixels": 256}
"""What passes ask for: the shorter side, in pixels."""
Edit = Callable[[Image.Image], bytes]


def made(number: int) -> Image.Image:
    """An image of random colours in cells of 4, 12, 40 and 120 pixels; large cells weigh more."""
    draw = np.random.default_rng(number)
    total = np.zeros((HEIGHT, WIDTH, 3))
    for cell in (4, 12, 40, 120):
        cells = draw.integers(0, 256, (HEIGHT // cell + 2, WIDTH // cell + 2, 3), np.uint8)
        layer = Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * cell**0.5
    total -= total.min()
    return Image.fromarray((255 * total / total.max()).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **way: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **way)
    return out.getvalue()


def cropped(image: Image.Image, share: float) -> bytes:
    """The image without a share of its width and height, cut off equally at all sides."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return encoded(image.crop((x, y, image.width - x, image.height - y)), quality=90)


def half(image: Image.Image) -> bytes:
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return encoded(image.resize(size, Image.Resampling.LANCZOS), quality=85)


EDITS: dict[str, Edit] = {
    "re-encoded, quality 30": lambda image: encoded(image, quality=30),
    "half size": half,
    "WebP, quality 70": lambda image: encoded(image, "WEBP", quality=70),
    "brightness 1.2": lambda image: encoded(
        image.point(lambda level: min(255, int(1.2 * level))), quality=90
    ),
    "crop of 2 %": lambda image: cropped(image, 0.02),
    "crop of 10 %": lambda image: cropped(image, 0.10),
    "mirrored": lambda image: encoded(ImageOps.mirror(image), quality=90),
}


def records(files: list[Path]) -> list[pa.Table]:
    media = [[{"kind": "image", "uri": str(file), "mime": "image/jpeg"}] for file in files]
    return [media_records(*media[n : n + BATCH_ROWS]) for n in range(0, len(media), BATCH_ROWS)]


def times_of_a_pass(batches: list[pa.Table], side: int) -> tuple[float, ...]:
    """CPU seconds of the decode that the steps of a pass share, and of the step `image_hash`."""
    hashing, media, decode, hashed = ImageHash(), Media(side=side), 0.0, 0.0
    for batch in batches:
        images = image_rows(batch["media"]).images
        columns = [pc.struct_field(images, name).to_pylist() for name in Reference._fields]
        start = time.process_time()
        for fields in zip(*columns, strict=True):
            media.decoded(Reference(*fields))
        middle = time.process_time()
        run_step(hashing, batch, media)
        hashed += time.process_time() - middle
        decode += middle - start
        media.forget()
    media.close()
    return decode, hashed


def step(batches: list[pa.Table], side: int = 32) -> np.ndarray:
    """Hash and mirror of every image, uint64 (images, 2); 0 where there is no detail."""
    media, found = Media(side=side), []
    for batch in batches:
        outcome = hash_images(batch["media"], media)
        assert not outcome.errors, outcome.errors
        lists = [media_lists(one)[1] for one in (outcome.hash, outcome.mirror)]
        found.append(np.stack([np.asarray(one.fill_null(0)) for one in lists], axis=1))
        media.forget()
    media.close()
    return np.concatenate(found).astype(np.uint64)


def peer(files: list[Path]) -> np.ndarray | None:
    """imagehash's phash of every image, uint64."""
    if imagehash is None:
        return None
    bits = [imagehash.phash(Image.open(file)).hash.ravel() for file in files]
    return np.packbits(np.array(bits), axis=1).view(">u8").astype(np.uint64).ravel()


def time_of_peer(files: list[Path]) -> tuple[float, ...]:
    start = time.process_time()
    peer(files)
    return (time.process_time() - start,)


def print_times(name: str, files: list[Path], rounds: int) -> None:
    batches = records(files)
    works: list[Callable[[], tuple[float, ...]]] = [
        *(partial(times_of_a_pass, batches, side) for side in SIDES.values()),
        partial(time_of_peer, files),
    ]
    taken = [[work() for work in works] for _ in range(rounds + 1)][1:]
    us = [1e6 * np.min(some, axis=0) / len(files) for some in zip(*taken, strict=True)]
    size = sum(file.stat().st_size for file in files) / len(files) / 1000
    print(f"\n{name}: {len(files)} files, {size:.0f} kB")
    print(f"{'us of CPU an image':<28}{'decode':>10}{'hash':>10}")
    for title, (decode, hashed) in zip(SIDES, us, strict=False):
        print(f"{title:<28}{decode:>10.0f}{hashed:>10.0f}")
    if imagehash:
        print(f"{'imagehash.phash, with decode':<38}{us[-1][0]:>10.0f}")


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The bits by which images differ, mirrored or not, whichever is fewer.

    Each image is given by its hash and its mirror: uint64 (images, 2).
    """
    ways = one[..., 0] ^ other[..., 0], one[..., 0] ^ other[..., 1], one[..., 1] ^ other[..., 0]
    nearest: np.ndarray = np.min([np.bitwise_count(way) for way in ways], axis=0)
    return nearest


def print_recall(name: str, files: list[Path], folder: Path) -> None:
    known, theirs = step(records(files)), peer(files)
    there = known.any(axis=1)
    images = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
    print(f"\n{name}: {there.sum()} of {len(files)} images have detail")
    print(f"{'':<26}{'image_hash':>16}{'imagehash.phash' if imagehash else '':>20}")
    print(f"{'found within':<26}" + f"{'6 bits':>10}{'10 bits':>10}" * (2 if imagehash else 1))
    for edit, work in EDITS.items():
        copies = [folder / f"copy-{n}" for n in range(len(files))]
        for copy, image in zip(copies, images, strict=True):
            copy.write_bytes(work(image))
        found = [distances(known, step(records(copies)))[there]]
        if theirs is not None:
            found.append(np.bitwise_count(theirs ^ peer(copies))[there])
        shares = [np.mean(one <= limit) for one in found for limit in DISTANCES]
        print(f"{edit:<26}" + "".join(f"{share:>10.3f}" for share in shares))
    print_different(known[there], theirs if theirs is None else theirs[there])


def print_different(known: np.ndarray, theirs: np.ndarray | None) -> None:
    """How many pairs of different images would be taken for copies."""
    i, j = np.triu_indices(len(known), 1)
    found = [distances(known[i], known[j])]
    if theirs is not None:
        found.append(np.bitwise_count(theirs[i] ^ theirs[j]))
    counts = [int(np.sum(one <= limit)) for one in found for limit in DISTANCES]
    print(f"{f'of {len(i)} pairs':<26}" + "".join(f"{count:>10}" for count in counts))
    if len(i):
        nearest = "".join(f"{one.min():>20}" for one in found)
        print(f"{'nearest pair, bits':<26}{nearest}")


def photographs(folder: Path, count: int) -> list[Path]:
    """`count` JPEGs of a folder, evenly spaced in the order of their paths."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    return found[:: max(1, len(found) // count)][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs")
    parser.add_argument("--count", type=int, default=200, help="images of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds: dict[str, list[Path]] = {"made": [], "made, progressive": []}
        for number in range(options.count):
            for kind, files in kinds.items():
                file = folder / f"{kind}-{number}.jpg"
                progressive = kind != "made"
                file.write_bytes(encoded(made(number), quality=90, progressive=progressive))
                files.append(file)
        if options.photos:
            kinds["photographs"] = photographs(options.photos, options.count)
        for kind, files in kinds.items():
            print_times(kind, files, options.rounds)
        for kind, files in kinds.items():
            if kind != "made, progressive":
                print_recall(kind, files, folder)


if __name__ == "__main__":
    main()
