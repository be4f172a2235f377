"""Perceptual hashes per CPU second and what they find, beside imagehash's phash.

    python -m benchmarks.image_hash [--photos FOLDER] [--count 200] [--rounds 5]

The same files, read from disk, are hashed by the step `image_hash` (Arrow records in, columns out)
and by `imagehash.phash` of what Pillow opens, in turn in one process; the cheapest round of each
counts. The files are JPEGs made here, of 640 x 480 with detail at four sizes, sequential and
progressive; and those in the folder, if one is given. "All decoded" is the step where it is told
that none is a JPEG, so that each goes through Pillow's reduced decode. Then copies are edited, and
the share of them found within 6 and within 10 bits is told for both, and how near strangers come.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from filters.image.image_hash import ImageHash
from manifests.media import Media
from manifests.record import media_lists
from tests.filters.rows import of_media

WIDTH, HEIGHT, BATCH_ROWS = 640, 480, 128
DISTANCES = (6, 10)
Edit = Callable[[Image.Image], bytes]


def made(number: int) -> Image.Image:
    """Random colours in cells of 4, 12, 40 and 120 pixels, the larger the stronger."""
    draw = np.random.default_rng(number)
    whole = np.zeros((HEIGHT, WIDTH, 3))
    for cell in (4, 12, 40, 120):
        cells = draw.integers(0, 256, (HEIGHT // cell + 2, WIDTH // cell + 2, 3), np.uint8)
        layer = Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        whole += np.asarray(layer) * cell**0.5
    whole -= whole.min()
    return Image.fromarray((255 * whole / whole.max()).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **way: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **way)
    return out.getvalue()


def cropped(image: Image.Image, share: float) -> bytes:
    """Less a share of its width and height, the same on all sides."""
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


def records(files: list[Path], mime: str = "image/jpeg") -> list[pa.Table]:
    media = [[{"kind": "image", "uri": str(file), "mime": mime}] for file in files]
    return [of_media(*media[n : n + BATCH_ROWS]) for n in range(0, len(media), BATCH_ROWS)]


def step(batches: list[pa.Table]) -> np.ndarray:
    """Hash and mirror of every image, uint64 (images, 2); 0 where there is no detail."""
    hashing, media, found = ImageHash(), Media(side=ImageHash.image_side), []
    for batch in batches:
        said = hashing(batch, media)
        assert not said.error or said.error.null_count == batch.num_rows, said.error.drop_null()
        lists = [media_lists(said.columns[name])[1] for name in ("hash", "mirror")]
        found.append(np.stack([np.asarray(one.fill_null(0)) for one in lists], axis=1))
        media.forget()
    media.close()
    return np.concatenate(found).astype(np.uint64)


def peer(files: list[Path]) -> np.ndarray:
    """imagehash's phash of every image, uint64."""
    bits = [imagehash.phash(Image.open(file)).hash.ravel() for file in files]
    return np.packbits(np.array(bits), axis=1).view(">u8").astype(np.uint64).ravel()


def times(rounds: int, *works: Callable[[], object]) -> list[float]:
    """CPU seconds of each in its cheapest round, all in turn; one before the rounds is for free."""
    best = [float("inf")] * len(works)
    for number in range(rounds + 1):
        for n, work in enumerate(works):
            start = time.process_time()
            work()
            if number:
                best[n] = min(best[n], time.process_time() - start)
    return best


def tell_times(name: str, files: list[Path], rounds: int) -> None:
    ours, decoded = records(files), records(files, mime="image/unknown")
    found = times(rounds, lambda: step(ours), lambda: step(decoded), lambda: peer(files))
    us = [1e6 * seconds / len(files) for seconds in found]
    size = sum(file.stat().st_size for file in files) / len(files) / 1000
    print(
        f"{name:<22}{len(files):>7}{size:>8.0f}{us[0]:>11.0f}{us[1]:>13.0f}{us[2]:>11.0f}"
        f"{us[2] / us[0]:>8.1f}x{us[2] / us[1]:>8.1f}x"
    )


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bits between images by hash and mirror (images, 2), the way round that fits best."""
    ways = one[..., 0] ^ other[..., 0], one[..., 0] ^ other[..., 1], one[..., 1] ^ other[..., 0]
    nearest: np.ndarray = np.min([np.bitwise_count(way) for way in ways], axis=0)
    return nearest


def tell_recall(name: str, files: list[Path], folder: Path) -> None:
    known, theirs = step(records(files)), peer(files)
    there = known.any(axis=1)
    images = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
    print(f"\n{name}: {there.sum()} of {len(files)} images have detail")
    print(f"{'':<26}{'image_hash':>16}{'imagehash.phash':>20}")
    print(f"{'found within':<26}{'6 bits':>8}{'10 bits':>8}{'6 bits':>12}{'10 bits':>8}")
    for edit, work in EDITS.items():
        copies = [folder / f"copy-{n}" for n in range(len(files))]
        for copy, image in zip(copies, images, strict=True):
            copy.write_bytes(work(image))
        ours = distances(known, step(records(copies)))[there]
        peers = np.bitwise_count(theirs ^ peer(copies))[there]
        shares = [np.mean(found <= most) for found in (ours, peers) for most in DISTANCES]
        print(f"{edit:<26}" + "{:>8.3f}{:>8.3f}{:>12.3f}{:>8.3f}".format(*shares))
    tell_strangers(known[there], theirs[there])


def tell_strangers(known: np.ndarray, theirs: np.ndarray) -> None:
    """How many pairs of different images would be taken for copies."""
    i, j = np.triu_indices(len(known), 1)
    ours, peers = distances(known[i], known[j]), np.bitwise_count(theirs[i] ^ theirs[j])
    counts = [int(np.sum(found <= most)) for found in (ours, peers) for most in DISTANCES]
    title = f"of {len(i)} pairs"
    print(f"{title:<26}" + "{:>8}{:>8}{:>12}{:>8}".format(*counts))
    if len(i):
        print(f"{'nearest pair, bits':<26}{ours.min():>16}{peers.min():>20}")


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEGs of a folder, evenly from all of it."""
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
                way = {"progressive": kind != "made"}
                file.write_bytes(encoded(made(number), quality=90, **way))
                files.append(file)
        if options.photos:
            kinds["photographs"] = photographs(options.photos, options.count)
        print(f"{'':<22}{'':>7}{'':>8}{'us of CPU an image':>35}{'imagehash / ours':>18}")
        print(
            f"{'':<22}{'files':>7}{'KB':>8}{'image_hash':>11}{'all decoded':>13}{'imagehash':>11}"
        )
        for kind, files in kinds.items():
            tell_times(kind, files, options.rounds)
        for kind, files in kinds.items():
            if kind != "made, progressive":
                tell_recall(kind, files, folder)


if __name__ == "__main__":
    main()
