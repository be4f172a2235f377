"""Band keys and close pairs find what comparing all hashes with all finds."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.kernels.hamming import HASH_BITS, band_keys, close_pairs, near

DISTANCES = range(13)


def shared(one: np.ndarray, other: np.ndarray, distance: int) -> np.ndarray:
    """How many bands have the same key for each hash and its partner."""
    count: np.ndarray = (band_keys(one, distance) == band_keys(other, distance)).sum(axis=1)
    return count


def words(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.uint64)


def bits(places: tuple[int, ...]) -> int:
    return sum(1 << place for place in places)


def chunks(distance: int) -> list[list[int]]:
    """The positions of the bits of each chunk."""
    ends = [HASH_BITS * n // (distance + 2) for n in range(distance + 3)]
    return [list(range(*between)) for between in itertools.pairwise(ends)]


@pytest.mark.parametrize("distance", DISTANCES)
def test_hashes_within_the_distance_share_a_key(distance: int) -> None:
    draw = random.Random(distance)
    ones = [draw.getrandbits(64) for _ in range(3000)]
    flips = [
        bits(tuple(draw.sample(range(64), draw.randint(0, distance)))) for _ in range(len(ones))
    ]
    for start in range(64 - distance + 1):  # adjacent bits, across every border of chunks
        ones.append(draw.getrandbits(64))
        flips.append(bits(tuple(range(start, start + distance))))
    for special in (0, 2**64 - 1, 0x5555555555555555):
        ones.append(special)
        flips.append(bits(tuple(range(distance))))
    others = [one ^ flip for one, flip in zip(ones, flips, strict=True)]
    assert shared(words(ones), words(others), distance).min() >= 1


@pytest.mark.parametrize("distance", DISTANCES)
def test_if_bits_differ_in_all_but_two_chunks_only_their_band_is_shared(distance: int) -> None:
    draw = random.Random(distance)
    for left in itertools.combinations(range(distance + 2), 2):
        flip = bits(tuple(draw.choice(c) for n, c in enumerate(chunks(distance)) if n not in left))
        one = draw.getrandbits(64)
        assert shared(words([one]), words([one ^ flip]), distance).tolist() == [1]


@pytest.mark.parametrize("distance", DISTANCES)
def test_if_bits_differ_in_all_but_one_chunk_no_key_is_shared(distance: int) -> None:
    for left in range(distance + 2):
        flip = bits(tuple(c[0] for n, c in enumerate(chunks(distance)) if n != left))
        assert shared(words([12345]), words([12345 ^ flip]), distance).tolist() == [0]


@pytest.mark.parametrize("distance", [*DISTANCES, 62])
def test_there_is_a_band_for_each_pair_of_chunks_and_it_is_part_of_the_key(distance: int) -> None:
    keys = band_keys(words([0, 2**64 - 1]), distance)
    assert keys.shape == (2, (distance + 2) * (distance + 1) // 2)
    assert len(np.unique(keys)) == keys.size
    assert (keys.dtype, keys.flags.c_contiguous) == (np.uint64, True)


def test_keys_are_the_same_in_any_array() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 100, np.uint64)
    assert np.array_equal(band_keys(hashes, 6)[40:50], band_keys(hashes[40:50], 6))
    assert band_keys(hashes[:0], 6).shape == (0, 28)


def test_every_bit_of_a_key_depends_on_the_hash() -> None:
    keys = band_keys(np.arange(1 << 16, dtype=np.uint64), 0)[:, 0]
    for bit in range(64):
        assert 0.49 < np.mean(keys >> np.uint64(bit) & np.uint64(1)) < 0.51
    assert len(np.unique(keys >> np.uint64(48))) > 0.62 * (
        1 << 16
    )  # 1 - 1/e, as for random numbers


def test_near_compares_hashes_position_by_position() -> None:
    first, second = words([0, 0, 0, 2**64 - 1]), words([0, 7, 15, 0])
    assert near(first, second, 3).tolist() == [True, True, False, False]
    assert near(first, second, 64).tolist() == [True] * 4


Image = tuple[int, int]


def by_hand(keys: list[int], images: list[Image], distance: int) -> dict[tuple[int, int], int]:
    """All images of a key compared with all, in plain Python."""
    found, distinct = {}, list[int]()
    for i, (hash_, mirror) in enumerate(images):
        if i and keys[i] != keys[i - 1]:
            distinct = []
        if any(set(images[j]) == {hash_, mirror} for j in distinct):
            continue
        for j in distinct:
            other, other_mirror = images[j]
            differences = hash_ ^ other, hash_ ^ other_mirror, mirror ^ other
            bits_apart = min(one.bit_count() for one in differences)
            if bits_apart <= distance:
                found[j, i] = bits_apart
        distinct.append(i)
    return found


def by_kernel(keys: list[int], images: list[Image], distance: int) -> dict[tuple[int, int], int]:
    hashes, mirrors = words([p[0] for p in images]), words([p[1] for p in images])
    pairs, distances = close_pairs(words(keys), hashes, mirrors, distance)
    assert (pairs.dtype, pairs.shape, distances.dtype) == (np.int64, (len(pairs), 2), np.uint8)
    found = {(int(i), int(j)): int(d) for (i, j), d in zip(pairs, distances, strict=True)}
    assert len(found) == len(pairs)
    return found


few_bits = st.builds(lambda a, b: 1 << a | 1 << b, st.integers(0, 63), st.integers(0, 63))
some_hashes = st.one_of(st.integers(0, 15), few_bits, st.integers(0, 2**64 - 1))
entries = st.lists(st.tuples(st.integers(0, 3), some_hashes, some_hashes), max_size=40)


@given(entries, st.integers(0, 64))
def test_close_pairs_have_the_components_of_all_pairs(
    drawn: list[tuple[int, int, int]], distance: int
) -> None:
    drawn.sort(key=lambda entry: entry[0])
    keys, images = [entry[0] for entry in drawn], [entry[1:] for entry in drawn]
    found, every = by_kernel(keys, images, distance), by_hand(keys, images, distance)
    assert found.items() <= every.items()
    assert len(found) <= (distance + 1) * len(keys)
    assert components(found, distance, len(keys)) == components(every, distance, len(keys))


def components(pairs: dict[tuple[int, int], int], distance: int, nodes: int) -> list[list[int]]:
    """For every distance the lowest image that each is connected to by pairs that near."""
    found = []
    for max_bits in range(distance + 1):
        parents = list(range(nodes))
        for (i, j), bits_apart in pairs.items():
            if bits_apart <= max_bits:
                low, high = sorted((parents[i], parents[j]))
                parents = [low if parent == high else parent for parent in parents]
        found.append(parents)
    return found


def family(draw: random.Random, size: int, flips: int) -> list[Image]:
    """Images near each other, some equal, some mirrored."""
    hash_, mirror = draw.getrandbits(64), draw.getrandbits(64)

    def changed(word: int) -> int:
        return word ^ bits(tuple(draw.sample(range(64), draw.randint(0, flips))))

    near_ones = [(changed(hash_), changed(mirror)) for _ in range(size)]
    return [draw.choice(near_ones)[:: draw.choice((1, -1))] for _ in range(size)]


@pytest.mark.parametrize("size", [1, 63, 64, 65, 129, 300])
def test_long_runs_are_compared_completely(size: int) -> None:
    draw = random.Random(size)
    keys = [1] * size + [2] * size
    images = family(draw, size, 4) + family(draw, size, 20)
    found, every = by_kernel(keys, images, 10), by_hand(keys, images, 10)
    assert components(found, 10, len(keys)) == components(every, 10, len(keys))
    assert size < 60 or len(found) > len(keys) // 2


def test_there_may_be_more_pairs_than_entries() -> None:
    chain = [0b1111, 0b111, 0b11, 0b1, 0]  # each is nearer to the middle, which comes last
    images = [(word << 8 * n, word << 8 * n) for n in range(8) for word in chain]
    found = by_kernel([1] * 40, images, 20)
    assert len(found) > 40
    assert components(found, 20, 40) == components(by_hand([1] * 40, images, 20), 20, 40)


def test_many_near_images_have_few_pairs() -> None:
    draw = np.random.default_rng(4)
    flips = np.uint64(1) << draw.integers(0, 64, (20_000, 3), np.uint64)
    hashes = np.bitwise_or.reduce(flips, axis=1)
    keys, far = np.zeros(len(hashes), np.uint64), np.full(len(hashes), 2**64 - 1, np.uint64)
    pairs, _ = close_pairs(keys, hashes, far, 6)
    assert len(np.unique(hashes)) - 1 <= len(pairs) < 7 * len(hashes)


def test_only_the_first_of_equal_images_is_paired_mirrored_or_not() -> None:
    images = [(1, 9), (9, 1), (1, 9), (3, 9), (9, 1), (9, 3)]
    assert by_kernel([5] * 6, images, 1) == {(0, 3): 1}
    images = [(1, 99), (3, 98), (1, 99), (3, 98), (2, 50), (99, 1)]
    assert by_kernel([5] * 6, images, 1) == {(0, 1): 1, (1, 4): 1}


def test_a_million_equal_images_take_linear_time() -> None:
    same = np.full(1_000_000, 42, np.uint64)
    start = time.process_time()
    pairs, distances = close_pairs(same, same, same, 10)
    assert (len(pairs), len(distances)) == (0, 0)
    assert time.process_time() - start < 5


def test_without_entries_there_are_no_pairs() -> None:
    assert by_kernel([], [], 10) == {}
