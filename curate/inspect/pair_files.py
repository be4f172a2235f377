"""Draws sampled pairs of images, and writes them to files that are sorted by distance."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from curate.inspect.drawing.pair_image import pair_image
from curate.inspect.drawing.record_images import opened_image
from curate.inspect.drawn_files import open_media
from curate.inspect.image_pairs import ImagePair
from manifests.errors import MediaError
from manifests.media import Media

LIST = "pairs.json"
"""The file that lists the pairs of a folder: file, bits, gray levels, ids and origins."""


class PairFile(NamedTuple):
    """A pair of images, and the path of the file in which the pair was drawn. If the pair could not
    be drawn, the path is None and `fault` is the reason."""

    pair: ImagePair
    path: str | None
    fault: str = ""


def draw_pairs(out: str, pairs: list[ImagePair], folder: str, base: str | None) -> list[PairFile]:
    """Draw pairs of images of the run `out` into a folder, and list them in `pairs.json`.

    The name of a file begins with two numbers of the pair, the bits in which the hashes differ and
    the levels by which the colours differ: `06-bits-013-levels-2.jpg`.
    """
    os.makedirs(folder, exist_ok=True)
    media = open_media(out, base)
    try:
        files = [_draw(pair, n, folder, media) for n, pair in enumerate(pairs, 1)]
    finally:
        media.close()
    with open(os.path.join(folder, LIST), "w", encoding="utf-8") as file:
        json.dump([_listed(one) for one in files], file, ensure_ascii=False, indent=1)
    return files


def _draw(pair: ImagePair, number: int, folder: str, media: Media) -> PairFile:
    name = f"{pair.bits:02}-bits-{round(pair.gray_levels):03}-levels-{number}.jpg"
    text = f"{pair.bits} bits, {pair.gray_levels:.1f} gray levels"
    try:
        one, other = (opened_image(image.media, media) for image in (pair.one, pair.other))
        drawn = pair_image(one, other, text)
    except MediaError as error:
        return PairFile(pair, None, str(error))
    path = os.path.join(folder, name)
    drawn.save(path, quality=90)
    return PairFile(pair, path)


def _listed(file: PairFile) -> dict[str, Any]:
    one, other = file.pair.one, file.pair.other
    return {
        "file": file.path and os.path.basename(file.path),
        "fault": file.fault,
        "bits": file.pair.bits,
        "gray_levels": round(file.pair.gray_levels, 2),
        "ids": [one.id, other.id],
        "origins": [one.origin, other.origin],
    }
