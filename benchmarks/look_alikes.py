"""Recall and false joins of images that look the same, with and without the second look.

    python -m benchmarks.look_alikes --images FOLDER [--count 400]

Images of a folder are copied by edits; a copy is found if its hash differs in at most `distance`
bits, and, for the second look, its small colour image in at most `colour_distance` gray levels.
False joins are images of other colours, images with another part pasted in, pages made from one
template with other words and values, and pairs of different images of the folder. The last table
joins all images and their copies by the step itself, with chains cut and kept: how many copies
remain, and how many images have lost all of their copies to another image.
"""

from __future__ import annotations

import argparse
import io
import random
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from filters.image.perceptual.phash import SIDE, hashes
from filters.image.perceptual.small_image import COLOURS_BYTES, small_image
from manifests.kernels.look_alike import bits_apart, colour_differences, looks
from manifests.media import Media, Reference

DISTANCES, COLOUR_DISTANCE = (6, 10), 24.0
LIMITS = (12.0, 16.0, 20.0, 24.0, 28.0, 32.0)
LARGEST = 640
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
Edit = Callable[[Image.Image, random.Random], Image.Image]


class Described(NamedTuple):
    """Hash and mirror of each image, uint64 (n, 2), 0 without detail; small colour images."""

    words: np.ndarray
    colours: np.ndarray


class BytesMedia(Media):
    """Decodes images in memory; the uri of an image is its number."""

    def __init__(self, files: list[bytes]) -> None:
        super().__init__(side=SIDE)
        self._bytes = files

    def read(self, ref: Reference) -> bytes:
        return self._bytes[int(ref.uri)]


def encoded(image: Image.Image, kind: str = "JPEG", **way: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **way)
    return out.getvalue()


def described(files: list[bytes]) -> Described:
    media, small = BytesMedia(files), []
    for number in range(len(files)):
        small.append(small_image(media.decoded(Reference(str(number))), SIDE))
        media.forget()
    pair = hashes(np.stack([one.luma for one in small]))
    words = np.stack([np.asarray(one.fill_null(0)) for one in pair], axis=1).astype(np.uint64)
    colours = np.stack([one.colours for one in small]).reshape(-1, COLOURS_BYTES)
    return Described(words, colours)


def apart(one: Described, other: Described) -> tuple[np.ndarray, np.ndarray]:
    """The bits and the gray levels by which images at the same position differ."""
    count = len(one.words)
    both = [np.concatenate(pair) for pair in zip(one, other, strict=True)]
    images = looks(np.arange(2 * count + 1), *both)
    ends = np.arange(count), count + np.arange(count)
    return bits_apart(images, *ends, (64, 255.0)), colour_differences(images, *ends)


def factor(image: Image.Image, red: float, green: float, blue: float) -> Image.Image:
    bands = zip(image.split(), (red, green, blue), strict=True)
    return Image.merge("RGB", [b.point(lambda v, f=f: min(255, int(f * v))) for b, f in bands])


def cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def marked(image: Image.Image) -> Image.Image:
    size = max(10, image.height // 20)
    drawn = image.copy()
    place = 0.6 * image.width, image.height - 1.6 * size
    ImageDraw.Draw(drawn).text(place, "(c) example", "white", ImageFont.load_default(size))
    return drawn


def resized(image: Image.Image, share: float) -> Image.Image:
    size = max(1, round(share * image.width)), max(1, round(share * image.height))
    return image.resize(size, Image.Resampling.LANCZOS)


COPIES: dict[str, Edit] = {
    "re-encoded, quality 30": lambda image, _: Image.open(io.BytesIO(encoded(image, quality=30))),
    "half size": lambda image, _: resized(image, 0.5),
    "stretched to a square": lambda image, _: image.resize((256, 256)),
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "blurred": lambda image, _: image.filter(ImageFilter.GaussianBlur(2)),
    "small text in a corner": lambda image, _: marked(image),
    "brighter by a fifth": lambda image, _: factor(image, 1.2, 1.2, 1.2),
    "darker by a third": lambda image, _: factor(image, 0.7, 0.7, 0.7),
    "contrast 1.4": lambda image, _: ImageEnhance.Contrast(image).enhance(1.4),
    "gray": lambda image, _: image.convert("L").convert("RGB"),
    "warmer": lambda image, _: factor(image, 1.12, 1, 0.85),
    "saturation 1.6": lambda image, _: ImageEnhance.Color(image).enhance(1.6),
    "crop of 2 %": lambda image, _: cropped(image, 0.02),
    "black bars of 12 %": lambda i, _: ImageOps.expand(i, (0, round(0.12 * i.height)), "black"),
    "white frame of 5 %": lambda i, _: ImageOps.expand(i, round(0.05 * i.width), "white"),
    "padded to a square, gray": lambda i, _: ImageOps.pad(i, (480, 480), color="#727272"),
}


def other_hue(image: Image.Image, shift: int) -> Image.Image:
    bands = image.convert("HSV").split()
    hue = bands[0].point(lambda v: (v + shift) % 256)
    return Image.merge("HSV", (hue, *bands[1:])).convert("RGB")


def pasted(image: Image.Image, draw: random.Random, share: float) -> Image.Image:
    """The image with a part of `share` of its width and height that shows something else."""
    part = resized(image, share)
    part = ImageOps.invert(ImageOps.flip(part))
    drawn = image.copy()
    room = image.width - part.width, image.height - part.height
    drawn.paste(part, (draw.randint(0, room[0]), draw.randint(0, room[1])))
    return drawn


OTHERS: dict[str, Edit] = {
    "hue turned by a third": lambda image, _: other_hue(image, 85),
    "hue turned by a sixth": lambda image, _: other_hue(image, 42),
    "another part, 1/5 of each side": lambda image, draw: pasted(image, draw, 1 / 5),
    "another part, 1/4 of each side": lambda image, draw: pasted(image, draw, 1 / 4),
    "another part, 1/3 of each side": lambda image, draw: pasted(image, draw, 1 / 3),
}


def words(draw: random.Random, count: int) -> str:
    letters = "etaoinshrdlu"
    return " ".join("".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(count))


def slide(draw: random.Random) -> Image.Image:
    image = Image.new("RGB", (640, 480), "#f4f4f8")
    on = ImageDraw.Draw(image)
    on.rectangle((0, 0, 640, 70), fill="#203a70")
    on.text((20, 18), words(draw, 3), "white", ImageFont.load_default(30))
    for line in range(6):
        on.text((40, 100 + 52 * line), words(draw, 6), "black", ImageFont.load_default(20))
    return image


def bars(draw: random.Random) -> Image.Image:
    image = Image.new("RGB", (640, 480), "white")
    on = ImageDraw.Draw(image)
    on.line((60, 30, 60, 430, 620, 430), fill="black", width=3)
    for bar in range(8):
        top, fill = 430 - draw.randint(20, 380), ("#3060c0", "#c06030", "#30a050")[bar % 3]
        on.rectangle((80 + 66 * bar, top, 125 + 66 * bar, 430), fill=fill)
    return image


def product(draw: random.Random) -> Image.Image:
    image = Image.new("RGB", (480, 480), "white")
    on = ImageDraw.Draw(image)
    colour = draw.randint(0, 255), draw.randint(0, 255), draw.randint(0, 255)
    on.ellipse((90, 60, 390, 430), fill=colour)
    on.rectangle((200, 20, 280, 80), fill=tuple(level // 2 for level in colour))
    return image


TEMPLATES = {"slides, other words": slide, "bar charts, other values": bars,
             "one product, other colours": product}  # fmt: skip


def print_shares(name: str, bits: np.ndarray, levels: np.ndarray) -> None:
    shares = [[np.mean((bits <= d) & (levels <= limit)) for limit in (255.0, COLOUR_DISTANCE)]
              for d in DISTANCES]  # fmt: skip
    print(f"{name:<34}" + "".join(f"{share:>11.3f}" for pair in shares for share in pair))


def edited(
    images: list[Image.Image], edits: dict[str, Edit], known: Described
) -> Iterable[tuple[str, Described]]:
    there = known.words.any(axis=1)
    for name, edit in edits.items():
        files = [encoded(edit(one, random.Random(n)).convert("RGB"), quality=90)
                 for n, one in enumerate(images)]  # fmt: skip
        copies = described(files)
        bits, levels = apart(known, copies)
        print_shares(name, bits[there], levels[there])
        yield name, copies


def pairs_of(images: Described) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.triu_indices(len(images.words), 1)
    sides = [Described(images.words[side], images.colours[side]) for side in (first, second)]
    bits, levels = apart(*sides)
    there = np.flatnonzero(images.words.any(axis=1))
    real = np.isin(first, there) & np.isin(second, there)
    return bits[real], levels[real]


def print_limits(known: Described, copies: list[Described], others: list[Described]) -> None:
    """Print the share of all copies, and of all false joins by edits, within the first of DISTANCES
    for several limits of the colours."""
    found = [[apart(known, some) for some in group] for group in (copies, others)]
    print(f"\n{'colour_distance':<20}{'copies':>10}{'false':>10}")
    for limit in (*LIMITS, 255.0):
        shares = [np.mean([(bits <= DISTANCES[0]) & (levels <= limit) for bits, levels in group])
                  for group in found]  # fmt: skip
        print(f"{limit:<20g}" + "".join(f"{share:>10.3f}" for share in shares))


def print_joined(known: Described, copies: list[Described]) -> None:
    """Join all images and copies by the step, and print what remains and what is lost."""
    from tests.filters.duplicates.outcomes import find_duplicates
    from tests.filters.duplicates.records import row

    rows, truth = [], {}
    for edit, some in enumerate([known, *copies]):
        for image, (word, colours) in enumerate(zip(*some, strict=True)):
            if not known.words[image].any() or not word.any():
                continue
            key = f"{image}-{edit}"
            truth[key] = image
            rows.append(row(key, hashes=[int(word[0])], mirrors=[int(word[1])],
                            colours=[colours.tobytes()]))  # fmt: skip
    images = len(set(truth.values()))
    title = f"{images} images and {len(rows) - images} copies"
    print(f"\n{title:<36}{'remain':>8}{'lost':>8}{'CPU s':>7}")
    for chains in ("cut", "keep"):
        for limit in (255.0, COLOUR_DISTANCE):
            start = time.process_time()
            found = find_duplicates(
                rows, by="perceptual", chains=chains, colour_distance=limit, keep="id"
            )
            seconds = time.process_time() - start
            stay = [truth[key] for key, one in found.items() if one.stays]
            lost = images - len(set(stay))
            name = f"chains: {chains}, colour_distance: {limit:g}"
            print(f"{name:<36}{len(stay) - len(set(stay)):>8}{lost:>8}{seconds:>7.1f}")


def read(folder: Path, count: int) -> list[Image.Image]:
    """`count` images of a folder, evenly spaced in the order of their paths."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
    found = []
    for file in files[:: max(1, len(files) // count)][:count]:
        try:
            image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        except OSError:
            continue
        image.thumbnail((LARGEST, LARGEST))
        found.append(image)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, nargs="+", help="folders of images")
    parser.add_argument("--count", type=int, default=400, help="images of each folder")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    pa.set_cpu_count(1)
    images = [image for folder in options.images for image in read(folder, options.count)]
    known = described([encoded(image, quality=90) for image in images])
    print(f"{known.words.any(axis=1).sum()} of {len(images)} images have detail")
    head = "".join(f"{f'{d} bits':>11}{'+ colours':>11}" for d in DISTANCES)
    print(f"\n{'copies found':<34}{head}")
    copies = [some for _, some in edited(images, COPIES, known)]
    print(f"\n{'false joins':<34}{head}")
    others = [some for _, some in edited(images, OTHERS, known)]
    for name, template in TEMPLATES.items():
        draw = random.Random(name)
        pages = [encoded(template(draw), quality=90) for _ in range(60)]
        print_shares(name, *pairs_of(described(pages)))
    bits, levels = pairs_of(known)
    counts = [int(np.sum((bits <= d) & (levels <= limit)))
              for d in DISTANCES for limit in (255.0, COLOUR_DISTANCE)]  # fmt: skip
    different = f"of {len(bits):,} pairs of images"
    print(f"{different:<34}" + "".join(f"{count:>11}" for count in counts))
    print_limits(known, copies, others)
    print_joined(known, copies)


if __name__ == "__main__":
    main()
