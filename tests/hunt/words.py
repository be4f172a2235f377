"""Texts and images of units: those of each unit of a source have a token of its own."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from PIL import Image

from tests.hunt.seen import digest

TOKENS = (
    "kavomir", "belutor", "fozenda", "gurmila", "hesopra", "jidavel", "lomqart", "mevunta",
    "norbazi", "pytsolk", "quevand", "ruskimo", "sabdolf", "tignera", "uxelmor", "vakdrin",
    "wolfetz", "xandoru", "yebsalt", "zorquim", "ambrozt", "cindolf", "drumake", "ephlort",
)  # fmt: skip
"""Words that no damage makes of one another."""
_SIZES = ((100, 50), (200, 100), (50, 100), (100, 100))
"""Sizes in pixels of which a thousandth is a whole number of tenths."""
WORDS = (
    "red", "a", "the", "of", "house", "tree", "river", "über", "猫", "дом", "🐈", "né", "12", "3.5",
)  # fmt: skip
ODD_WORDS = (
    '"', "'", "\\", "&", "<b>", ",", ";", "|", "''", '""', "{", "}", "[", "]", ":", "#", "%20",
)  # fmt: skip
BREAKS = ("\n", "\t", "\r\n", "\u2028", "\x0b", "\x85")


class Photo(NamedTuple):
    """An image of the pool: its token, file name, size and bytes."""

    token: str
    width: int
    height: int
    data: bytes

    @property
    def name(self) -> str:
        return f"{self.token}.png" if self.data.startswith(b"\x89PNG") else f"{self.token}.jpg"

    def box(self, x1: float, y1: float, x2: float, y2: float) -> tuple[float, ...]:
        """A box in pixels as thousandths."""
        w, h = self.width / 1000, self.height / 1000
        return tuple(round(v, 1) for v in (x1 / w, y1 / h, x2 / w, y2 / h))


@cache
def photos() -> tuple[Photo, ...]:
    """One image for each token."""
    return tuple(_photo(number, token) for number, token in enumerate(TOKENS))


def _photo(number: int, token: str) -> Photo:
    width, height = _SIZES[number % len(_SIZES)]
    out = io.BytesIO()
    image = Image.new("RGB", (width, height), (number * 9, 255 - number * 9, number * 5))
    image.save(out, "PNG" if number % 3 == 0 else "JPEG")
    return Photo(token, width, height, out.getvalue())


@cache
def names_by_digest() -> dict[str, str]:
    return {digest(photo.data): photo.name for photo in photos()}


def write_photos(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos():
        (folder / photo.name).write_bytes(photo.data)


def some_photos(draw: Random, most: int = 9) -> list[Photo]:
    """Between one and `most` images, each of which has its own token."""
    return draw.sample(photos(), draw.choice((1, 2, 3, 5, most)))


def tokens_in(text: str) -> set[str]:
    return {token for token in TOKENS if token in text}


def phrase(draw: Random, token: str, *, odd: bool = True, breaks: bool = False) -> str:
    """A text with the token; `odd`: with quotes and the like; `breaks`: with line breaks."""
    words = [draw.choice(WORDS) for _ in range(draw.randrange(1, 7))]
    if odd and draw.random() < 0.5:
        words.insert(draw.randrange(len(words) + 1), draw.choice(ODD_WORDS))
        words.insert(draw.randrange(len(words) + 1), draw.choice(ODD_WORDS) + draw.choice(WORDS))
    if breaks and draw.random() < 0.3:
        words.insert(draw.randrange(1, len(words) + 1), draw.choice(BREAKS))
    words.insert(draw.randrange(len(words) + 1), token)
    return (" ".join(words)).strip()


def plain(draw: Random, token: str) -> str:
    return phrase(draw, token, odd=False)


_WORD = re.compile(r"[A-Za-z]{3,}")


def ascii_words(text: str) -> set[str]:
    return set(_WORD.findall(text))
