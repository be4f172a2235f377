"""The second look: images whose hashes are near are compared by their small colour images."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from filters.image.perceptual.small_image import COLOURS_BYTES as BYTES
from filters.image.perceptual.small_image import small_image
from manifests.kernels.look_alike import bits_apart, colour_differences, looks
from manifests.media import Decoded
from tests.filters.duplicates import planted
from tests.filters.duplicates.outcomes import (
    RecordOutcome,
    families,
    find_duplicate_images,
    find_duplicates,
    kept_keys,
)
from tests.filters.duplicates.records import by_id, flip_bits, random_hashes, row
from tests.filters.duplicates.test_images import record
from tests.filters.duplicates.test_perceptual import look_alike, one_each


def photograph(seed: int) -> np.ndarray:
    """8 x 8 blocks of smooth random colours, uint8 (8, 8, 3)."""
    coarse = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((8, 8), Image.Resampling.BICUBIC))


def with_patch(colours: np.ndarray, level: int = 255) -> np.ndarray:
    """The image with another part of 2 x 2 blocks in the middle."""
    changed = colours.copy()
    changed[3:5, 3:5] = (level, 0, 255 - level)
    return changed


def as_gray(colours: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(colours).convert("L").convert("RGB"))


def edited(colours: np.ndarray) -> dict[str, np.ndarray]:
    """Copies of an image that look the same."""
    image = Image.fromarray(colours)
    return {
        "same": colours,
        "darker": np.asarray(ImageEnhance.Brightness(image).enhance(0.7)),
        "less contrast": np.asarray(ImageEnhance.Contrast(image).enhance(0.8)),
        "mirrored": np.asarray(ImageOps.mirror(image)),
        "gray": as_gray(colours),
    }


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The difference of two small images, each 8 x 8 x 3 levels."""
    both = np.stack([one, other]).reshape(2, BYTES).astype(np.uint8)
    images = looks(np.arange(3), np.zeros((2, 2), np.uint64), both)
    return float(colour_differences(images, np.array([0]), np.array([1]))[0])


def reference(one: np.ndarray, other: np.ndarray) -> float:
    """The same difference by numpy, in plain steps."""
    luma = np.array([0.299, 0.587, 0.114])

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        lumas = [x @ luma for x in (a, b)]
        means, spreads = [x.mean() for x in lumas], [max(x.std(), 1.0) for x in lumas]
        gray = any((x.max(2) - x.min(2)).mean() < 6 for x in (a, b))
        values = [x[..., None] if gray else y for x, y in zip(lumas, (a, b), strict=True)]
        contrast = np.sqrt(spreads[0] * spreads[1])
        even = [(v - m) / s * contrast for v, m, s in zip(values, means, spreads, strict=True)]
        blocks = np.abs(even[0] - even[1]).mean(axis=2)
        return float(np.sort(blocks.ravel())[-4:].mean())

    a, b = one.astype(float), other.astype(float)
    return min(apart(a, b), apart(a, b[:, ::-1]), 255.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_difference_is_that_of_the_reference(seed: int) -> None:
    draw = np.random.default_rng(seed)
    images = [photograph(seed + n) for n in range(6)]
    images += [as_gray(images[0]), np.full((8, 8, 3), 7), draw.integers(0, 256, (8, 8, 3))]
    images += [np.where(draw.random((8, 8, 1)) < 0.5, 0, 255) * np.ones((8, 8, 3), int)]
    for one, other in itertools.product(images, images):
        assert difference(one, other) == pytest.approx(reference(one, other), abs=1e-9)
        assert difference(one, other) == difference(other, one)


@pytest.mark.parametrize("seed", range(5))
def test_copies_differ_little_and_images_with_another_part_much(seed: int) -> None:
    image = photograph(seed)
    for name, copy in edited(image).items():
        assert difference(image, copy) < 12, name
    for level in (0, 255):
        assert difference(image, with_patch(image, level)) > 30


def test_an_image_of_another_colour_is_no_duplicate() -> None:
    (hash_,) = random_hashes(1, 1)
    image = photograph(1)
    colours = {"a": image, "copy": edited(image)["darker"], "other": with_patch(image)}
    rows = [row(key, hashes=[hash_], colours=[one.tobytes()]) for key, one in colours.items()]
    for chains in ("cut", "keep"):
        outcomes = find_duplicates(rows, by="perceptual", chains=chains)
        assert families(outcomes) == {frozenset({"a", "copy"})}
        assert families(find_duplicates(rows, by="perceptual", chains=chains,
                                        colour_distance=255)) == {frozenset(colours)}  # fmt: skip
    texts = [row(key, "one text", hashes=[hash_], colours=[one.tobytes()])
             for key, one in colours.items()]  # fmt: skip
    for by in ("minhash", "text"):
        outcomes = find_duplicates(texts, by=["perceptual", by])
        assert families(outcomes) == {frozenset({"a", "copy"})}
    assert families(find_duplicates(rows, by="sequence")) == {frozenset({"a", "copy"})}
    assert families(find_duplicates(rows, by="sequence", colour_distance=255)) == {
        frozenset(colours)
    }


@pytest.mark.parametrize("chains", ["cut", "keep"])
def test_each_colour_keeps_one_image_whatever_order_they_come_in(chains: str) -> None:
    chance = random.Random(1)
    hashes = [flip_bits(h, *chance.sample(range(64), 2)) for h in random_hashes(2, 1) * 60]
    colours = [with_patch(photograph(1), 60 * (n % 5)).tobytes() for n in range(60)]
    rows = [row(f"r{n:02}", hashes=[h], colours=[c])
            for n, (h, c) in enumerate(zip(hashes, colours, strict=True))]  # fmt: skip
    expected = {frozenset(f"r{n:02}" for n in range(first, 60, 5)) for first in range(5)}
    assert families(find_duplicates(rows, by="perceptual", chains=chains)) == expected
    images = [record(r["key"], r["image_hash.hash"], 0, colours=r["image_hash.colours"])
              for r in rows]  # fmt: skip
    outcomes = find_duplicate_images(images, chains=chains)
    assert sum(one["removed"] for one in outcomes.values()) == 55
    for key, one in outcomes.items():
        assert all(int(s[1:]) % 5 == int(key[1:]) % 5 for s in one["survivors"])


def greedy(rows: list[dict[str, Any]], max_bits: int) -> dict[str, str]:
    """The record that stays for each dropped record: the best of those left, and all within the
    distance of it; and so on."""
    left, found = by_id([one["key"] for one in rows]), {}
    known, alike = {one["key"]: one for one in rows}, look_alike(max_bits)
    while left:
        best, *others = left
        near = [key for key in others if alike(known[best], known[key]) is not None]
        found |= dict.fromkeys(near, best)
        left = [key for key in others if key not in near]
    return found


@pytest.mark.parametrize("max_bits", [3, 6, 10])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chains_are_cut_at_the_distance_from_the_record_that_stays(
    seed: int, max_bits: int
) -> None:
    for rows in (one_each(planted.images(seed)), planted.records(seed)):
        outcomes = find_duplicates(rows, by="perceptual", distance=max_bits, keep="id")
        expected = greedy(rows, max_bits)
        assert {k: one.survivor for k, one in outcomes.items() if not one.stays} == expected
        assert {k: one.of for k, one in outcomes.items() if not one.stays} == expected
        sizes = {key: 1 + list(expected.values()).count(key) for key in kept_keys(outcomes)}
        assert {key: outcomes[expected.get(key, key)].family for key in outcomes} == {
            key: sizes[expected.get(key, key)] for key in outcomes
        }


def test_of_a_chain_of_images_every_second_group_stays() -> None:
    (one,) = random_hashes(6, 1)
    chain = [flip_bits(one, *range(n)) for n in range(0, 30, 5)]
    outcomes = find_duplicates(one_each([(h, h) for h in chain]), by="perceptual", keep="id")
    dropped: list[RecordOutcome] = [o for o in outcomes.values() if not o.stays]
    assert {o.similarity for o in dropped} == {1 - 5 / 64}
    assert len(kept_keys(outcomes)) >= 2


def test_chains_are_not_cut_where_texts_or_embeddings_chain_records() -> None:
    rows = [row(f"r{n}", "a text of five words here", hashes=[n + 1]) for n in range(2)]
    for way, more in (("minhash", {}), ("semantic", {"embedding": "embed.vector"})):
        with pytest.raises(ValueError, match=f"chains: cut is not possible with {way}"):
            find_duplicates(rows, by=["perceptual", way], chains="cut", **more)


def test_records_of_several_images_need_a_second_look_at_each() -> None:
    image, other = random_hashes(9, 2)
    colours = [photograph(1).tobytes(), photograph(2).tobytes()]
    changed = [colours[0], with_patch(photograph(2)).tobytes()]
    rows = [row("a", hashes=[image, other], colours=colours),
            row("b", hashes=[image, other], colours=colours),
            row("c", hashes=[image, other], colours=changed)]  # fmt: skip
    for chains in ("cut", "keep"):
        outcomes = find_duplicates(rows, by="perceptual", chains=chains)
        assert families(outcomes) == {frozenset("ab")}


def test_bits_apart_are_those_of_the_least_similar_images() -> None:
    words = np.array([[0, 0], [0, 0], [1, 1], [7, 7]], np.uint64)
    images = looks(np.array([0, 2, 4]), words, np.zeros((4, BYTES), np.uint8))
    ends = np.array([0]), np.array([1])
    assert bits_apart(images, *ends, (6, 24.0)).tolist() == [3]
    assert bits_apart(images, *ends, (2, 24.0)).tolist() == [-1]


@pytest.mark.parametrize("size", [(400, 320), (40, 32)])
def test_small_colours_are_the_means_of_blocks(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(pixels)
    means = np.asarray(image.resize((8, 8), Image.Resampling.BOX)).astype(int)
    found = small_image(Decoded(image, size, 1), 32).colours
    assert np.abs(found - means).max() <= 3
    turned = small_image(Decoded(image, size, 6), 32).colours
    assert (turned == np.rot90(found, -1)).all()
