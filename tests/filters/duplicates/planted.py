"""Random corpora with planted copies, some of them changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.filters.duplicates.records import flip_bits, image_digest, row

VOCABULARY = [f"{a}{b}" for a in "bcdfghklmnprst" for b in ("a", "at", "e", "in", "o", "ou", "ul")]


def _same(words: list[str], chance: random.Random) -> list[str]:
    return words


def _shouted(words: list[str], chance: random.Random) -> list[str]:
    return [word.upper() + " " * chance.randrange(3) for word in words]


def _one_changed(words: list[str], chance: random.Random) -> list[str]:
    at = chance.randrange(len(words))
    return [*words[:at], chance.choice(VOCABULARY), *words[at + 1 :]]


def _longer(words: list[str], chance: random.Random) -> list[str]:
    return words + chance.choices(VOCABULARY, k=chance.randrange(1, 12))


def _cut(words: list[str], chance: random.Random) -> list[str]:
    return words[: -chance.randrange(1, 12)]


EDITS: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    _same,
    _shouted,
    _one_changed,
    _longer,
    _cut,
)


def texts(seed: int, originals: int = 30, copies: int = 50) -> list[str]:
    """Originals of 30 to 80 words, and copies of them and of each other."""
    chance = random.Random(seed)
    made = [chance.choices(VOCABULARY, k=chance.randrange(30, 80)) for _ in range(originals)]
    for _ in range(copies):
        made.append(chance.choice(EDITS)(list(map(str.strip, chance.choice(made))), chance))
    chance.shuffle(made)
    return [" ".join(words) for words in made]


def images(
    seed: int, originals: int = 25, copies: int = 35, max_bits: int = 9
) -> list[tuple[int, int]]:
    """Hashes of images and of their mirror images; copies differ in up to `max_bits` bits, and
    every third is mirrored."""
    chance = random.Random(seed)
    made = [(chance.getrandbits(64), chance.getrandbits(64)) for _ in range(originals)]
    for number in range(copies):
        bits = chance.sample(range(64), chance.randrange(max_bits + 1))
        known = chance.choice(made)
        one, other = (flip_bits(value, *bits) for value in known)
        made.append((other, one) if number % 3 == 0 else (one, other))
    chance.shuffle(made)
    return made


def records(seed: int) -> list[dict[str, Any]]:
    """Records of a text and one or two images with digests; each has copies independently."""
    chance = random.Random(seed)
    made = []
    pool = images(seed, 6, 20, 4)
    for number, text in enumerate(texts(seed, 8, 100)):
        shown = [pool[chance.randrange(len(pool))] for _ in range(chance.choice((1, 1, 2)))]
        digests = [image_digest(chance.randrange(3)) for _ in shown]
        made.append(
            row(
                f"r{number}",
                text,
                hashes=[one for one, _ in shown],
                mirrors=[other for _, other in shown],
                digests=digests,
            )
        )
    return made
