"""`by: perceptual` and `by: sequence`: images that look the same, in order or some in common."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from filters.duplicates.kinds.contract import Entries
from filters.duplicates.kinds.minhash import NEAREST, WINDOW
from filters.duplicates.kinds.perceptual import Images
from filters.duplicates.kinds.sequence import Sequence
from tests.filters.duplicates import planted
from tests.filters.duplicates.brute_force import (
    Links,
    all_of,
    assert_same,
    connected,
    distance,
    links,
    path_to_survivor,
    texts_alike,
    texts_equal,
)
from tests.filters.duplicates.outcomes import RecordOutcome, families, find_duplicates, kept_keys
from tests.filters.duplicates.records import by_id, flip_bits, in_parts, random_hashes, row

SEEDS = [1, 2, 3]


def one_each(images: list[tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        row(f"p{n}", hashes=[hash_], mirrors=[mirror]) for n, (hash_, mirror) in enumerate(images)
    ]


def looks(rows: list[dict[str, Any]], max_bits: int) -> dict[tuple[str, int], int]:
    """The family of every image that has a hash: images connected by at most `max_bits`."""
    shown = {(one["key"], n): one for one in rows
             for n, hash_ in enumerate(one["image_hash.hash"]) if hash_ is not None}  # fmt: skip
    pairs = {
        frozenset((f"{a[0]} {a[1]}", f"{b[0]} {b[1]}")): 1.0
        for a, b in itertools.combinations(shown, 2)
        if distance(shown[a], shown[b], a[1], b[1]) <= max_bits
    }
    number = {name: n for n, family in enumerate(connected(pairs)) for name in family}
    return {at: number.get(f"{at[0]} {at[1]}", 1000 + n) for n, at in enumerate(shown)}


def look_alike(max_bits: int) -> Callable[[dict[str, Any], dict[str, Any]], float | None]:
    """The similarity of two records by their images; None if an image is farther than `max_bits`
    from the image at the same position."""

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        hashes = [row["image_hash.hash"] for row in (one, other)]
        if len({len(hash_) for hash_ in hashes}) > 1 or None in hashes[0] + hashes[1]:
            return None
        similarity = image_similarity(one, other) if hashes[0] else 0
        return similarity if similarity >= 1 - max_bits / 64 else None

    return alike


def image_similarity(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The similarity of the least similar pair of images."""
    count = len(one["image_hash.hash"])
    return 1 - max(distance(one, other, n, n) for n in range(count)) / 64


def assert_looks(
    outcomes: dict[str, RecordOutcome], rows: list[dict[str, Any]], found: Links
) -> None:
    """Check families, survivors, and the similarity to the record each is a duplicate of."""
    assert families(outcomes) == connected(found)
    known = {one["key"]: one for one in rows}
    for family in families(outcomes):
        assert kept_keys({key: outcomes[key] for key in family}) == {by_id(family)[0]}
        for key in family - kept_keys(outcomes):
            assert path_to_survivor(outcomes, key)[-1] == by_id(family)[0]
            of = outcomes[key].of
            assert of is not None
            assert frozenset((key, of)) in found
            assert outcomes[key].similarity == pytest.approx(
                image_similarity(known[key], known[of])
            )
            assert outcomes[key].family == len(family)


@pytest.mark.parametrize("max_bits", [0, 3, 6, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_by_perceptual_of_one_image_each(seed: int, max_bits: int) -> None:
    rows = one_each(planted.images(seed))
    found = links(rows, look_alike(max_bits), 0)
    assert found
    outcomes = find_duplicates(rows, by="perceptual", distance=max_bits, keep="id", chains="keep")
    assert_looks(outcomes, rows, found)
    assert max_bits < 6 or any((one.similarity or 1) < 1 for one in outcomes.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_by_perceptual_of_several_images_in_order(seed: int) -> None:
    rows = planted.records(seed)
    found = links(rows, look_alike(6), 0)
    assert len(found) > 100
    assert_looks(find_duplicates(rows, by="perceptual", keep="id", chains="keep"), rows, found)


@pytest.mark.parametrize("seed", SEEDS)
def test_by_perceptual_and_text(seed: int) -> None:
    rows = planted.records(seed)
    found = links(rows, all_of(look_alike(6), texts_equal), 0)
    assert len(found) > 5
    assert_looks(
        find_duplicates(rows, by=["perceptual", "text"], keep="id", chains="keep"), rows, found
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_by_minhash_and_perceptual(seed: int) -> None:
    rows = planted.records(seed)
    similar = links(rows, texts_alike, 0.7)
    found = {pair: near for pair, near in links(rows, look_alike(6), 0).items() if pair in similar}
    settings = {"threshold": 0.7, "bands": 40, "rows": 3, "keep": "id"}
    outcomes = find_duplicates(rows, by=["perceptual", "minhash"], **settings)
    assert families(outcomes) == connected(found)
    known = {one["key"]: one for one in rows}
    for key, one in outcomes.items():
        if one.of is not None:
            assert frozenset((key, one.of)) in found
            both = (
                texts_alike(known[key], known[one.of]),
                image_similarity(known[key], known[one.of]),
            )
            assert one.similarity == pytest.approx(min(s for s in both if s is not None))


def test_a_mirrored_image_looks_the_same() -> None:
    one, mirror, other = random_hashes(4, 3)
    rows = [row("a", hashes=[one], mirrors=[mirror]), row("b", hashes=[mirror], mirrors=[one]),
            row("c", hashes=[flip_bits(mirror, 1, 5)], mirrors=[flip_bits(one, 1, 2)]),
            row("d", hashes=[other], mirrors=[flip_bits(other, 1)])]  # fmt: skip
    outcomes = find_duplicates(rows, by="perceptual", keep="id")
    assert families(outcomes) == {frozenset("abc")}
    found = {outcomes[key].similarity for key in "abc" if outcomes[key].of in ("a", "b")}
    assert found <= {1.0, 1 - 2 / 64}


def test_distance_is_the_exact_number_of_bits_that_may_differ() -> None:
    (one,) = random_hashes(5, 1)
    for max_bits in (0, 1, 6, 16):
        at, over = (flip_bits(one, *range(0, 3 * n, 3)) for n in (max_bits, max_bits + 1))
        outcomes = find_duplicates(
            one_each([(one, one), (at, at)]), by="perceptual", distance=max_bits
        )
        assert len(kept_keys(outcomes)) == 1
        outcomes = find_duplicates(
            one_each([(one, one), (over, over)]), by="perceptual", distance=max_bits
        )
        assert len(kept_keys(outcomes)) == 2


@pytest.mark.parametrize("max_bits", [0, 1, 6, 16])
def test_images_are_found_wherever_their_bits_differ(max_bits: int) -> None:
    chance = random.Random(max_bits)
    images = []
    for _ in range(60):
        one = chance.getrandbits(64), chance.getrandbits(64)
        bits = chance.sample(range(64), max_bits)
        other = tuple(flip_bits(value, *bits) for value in one)
        images += [one, (other[chance.randrange(2)], chance.getrandbits(64))]
    outcomes = find_duplicates(one_each(images), 4, by="perceptual", distance=max_bits)
    expected = {frozenset((f"p{n}", f"p{n + 1}")) for n in range(0, 120, 2)}
    if max_bits < 16:
        assert families(outcomes) == expected
    else:
        assert {key for family in families(outcomes) for key in family} == set(outcomes)


def test_images_of_a_chain_are_one_family() -> None:
    (one,) = random_hashes(6, 1)
    chain = [flip_bits(one, *range(n)) for n in range(0, 30, 5)]
    outcomes = find_duplicates(
        one_each([(h, h) for h in chain]), by="perceptual", keep="id", chains="keep"
    )
    assert len(kept_keys(outcomes)) == 1
    assert {one.family for one in outcomes.values()} == {6}


def share_in_common(
    one: dict[str, Any], other: dict[str, Any], family: dict[tuple[str, int], int]
) -> float | None:
    """The share of images that both records have; images of one family count once."""
    a, b = ([(n, f) for (key, n), f in family.items() if key == row["key"]] for row in (one, other))
    if not a or not b:
        return None
    common = {f for n, f in a for m, g in b if f == g and distance(one, other, n, m) <= 6}
    return len(common) / min(len({f for _, f in a}), len({f for _, f in b}))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_by_sequence(seed: int, threshold: float) -> None:
    chance = random.Random(seed)
    pool = planted.images(seed, 120, 40, 3)
    rows: list[dict[str, Any]] = []
    for number in range(50):
        start = 2 * chance.randrange(len(pool) // 2 - 4)
        frames: list[Any] = pool[start : start + chance.randrange(1, 8)]
        frames += [(None, None)] * chance.randrange(2) + frames[: chance.randrange(2)]
        rows.append(
            row(f"s{number}", hashes=[h for h, _ in frames], mirrors=[m for _, m in frames])
        )
    family = looks(rows, 6)

    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        return share_in_common(one, other, family)

    found = links(rows, alike, threshold)
    assert len(found) > 10
    outcomes = find_duplicates(rows, by="sequence", threshold=threshold, keep="id")
    assert_same(outcomes, found)


def test_images_that_only_a_chain_connects_are_not_in_common() -> None:
    (first,) = random_hashes(21, 1)
    middle, last = flip_bits(first, 1, 2, 3, 4), flip_bits(first, 1, 2, 3, 4, 5, 6, 7, 8)
    rows = [row("first", hashes=[first]), row("last", hashes=[last])]
    between = row("between", hashes=[middle, *random_hashes(22, 3)])
    outcomes = find_duplicates([*rows, between], by="sequence", threshold=0.5, keep="-media.count")
    assert {key: one.of for key, one in outcomes.items() if not one.stays} == {
        "first": "between", "last": "between",
    }  # fmt: skip
    assert families(find_duplicates([*rows, between], by="sequence", distance=3)) == set()


def test_records_of_chained_images_name_a_record_within_the_distance() -> None:
    (first,) = random_hashes(21, 1)
    middle, last = flip_bits(first, *range(6)), flip_bits(first, *range(10))
    outcomes = find_duplicates(one_each([(h, h) for h in (first, middle, last)]), by="perceptual",
                               keep="id", chains="keep")  # fmt: skip
    (family,) = families(outcomes)
    assert family == {"p0", "p1", "p2"}
    links_ = {frozenset((key, one.of)): one.similarity for key, one in outcomes.items() if one.of}
    assert links_ == {frozenset(("p0", "p1")): 1 - 6 / 64, frozenset(("p1", "p2")): 1 - 4 / 64}


def test_images_chained_by_a_record_of_another_kind_make_no_duplicates() -> None:
    (first,) = random_hashes(21, 1)
    middle, last = flip_bits(first, *range(6)), flip_bits(first, *range(10))
    rows = [row("first", hashes=[first]), row("last", hashes=[last]),
            row("two", hashes=[middle, *random_hashes(23, 1)])]  # fmt: skip
    outcomes = find_duplicates(rows, by="perceptual", keep="id")
    assert families(outcomes) == set()
    words = "the very same words again and again"
    texts = [row("a", words, hashes=[first]), row("b", words, hashes=[last]), *rows]
    for by in ("text", "minhash"):
        assert families(find_duplicates(texts, by=["perceptual", by], keep="id")) == set()


def test_copies_whose_mirror_images_differ_are_compared() -> None:
    shown, mirror = random_hashes(25, 2)
    text = "a yellow circle on the right of a pale image"
    rows = [row("a", text, hashes=[shown], mirrors=[mirror]),
            row("b", text.upper(), hashes=[shown], mirrors=[flip_bits(mirror, 3)])]  # fmt: skip
    for by in ("minhash", "text"):
        outcomes = find_duplicates(rows, by=["perceptual", by], keep="id")
        assert families(outcomes) == {frozenset("ab")}
    assert families(find_duplicates(rows, by="sequence")) == {frozenset("ab")}


def test_records_of_several_images_are_connected_by_records_between_them() -> None:
    chance = random.Random(5)
    one, other = random_hashes(24, 2)
    rows = []
    for number in range(60):  # every record has one bit more than the one before, in both images
        one, other = (flip_bits(h, number) for h in (one, other))
        rows.append(row(f"r{number:02}", hashes=[one, other]))
    chance.shuffle(rows)
    outcomes = find_duplicates(rows, by="perceptual", distance=1, keep="id", chains="keep")
    assert families(outcomes) == {frozenset(r["key"] for r in rows)}
    assert {one.similarity for one in outcomes.values() if not one.stays} == {1 - 1 / 64}


def test_videos_that_share_a_common_frame_are_all_compared() -> None:
    black, *others = random_hashes(11, WINDOW)
    rows = [row(f"v{n:02}", hashes=[black, other]) for n, other in enumerate(others)]
    rows.append(row("last", hashes=[black, others[0]]))
    outcomes = find_duplicates(rows, by="sequence", threshold=1.0, keep="id")
    assert families(outcomes) == {frozenset({"v00", "last"})}


def test_the_number_of_pairs_is_linear_in_the_videos_with_a_frame() -> None:
    marks = np.random.default_rng(12).integers(0, 2**64, 100_000, np.uint64)
    keys = np.zeros(len(marks), np.uint64)
    entries = Entries(keys, np.sort(marks), np.zeros((len(marks), 1), np.uint64))
    pairs, _ = Sequence(0.5, 6).candidates(entries)
    assert len(marks) - 1 <= len(pairs) <= NEAREST * len(marks)


def test_two_cuts_of_a_video_are_duplicates_by_their_common_frames() -> None:
    frames = random_hashes(7, 20)
    rows = [row("full", hashes=frames), row("cut", hashes=frames[5:9]),
            row("half", hashes=[*frames[9:11], *random_hashes(8, 2)]),
            row("quarter", hashes=[frames[12], *random_hashes(9, 3)])]  # fmt: skip
    assert families(find_duplicates(rows, by="sequence")) == {frozenset({"full", "cut", "half"})}
    outcomes = find_duplicates(rows, by="sequence", threshold=0.25, keep="-media.count")
    assert {key: (one.of, one.similarity) for key, one in outcomes.items()} == {
        "full": (None, None),
        "cut": ("full", 1),
        "half": ("full", 0.5),
        "quarter": ("full", 0.25),
    }


def test_an_image_has_keys_of_its_own_and_of_its_mirror_image() -> None:
    rows = one_each(planted.images(1))
    rows.append(row("blank", hashes=[None]))
    units = Images(6).describe(in_parts(rows, 1).tables[0])
    assert units.present.tolist() == [True] * 60 + [False]
    assert set(units.owners.tolist()) == set(range(60))
    hashes = [(one["image_hash.hash"][0], one["image_hash.mirror"][0]) for one in rows[:-1]]
    assert [tuple(p) for p in units.payload[:-1].tolist()] == hashes
    mirrored = Images(6).describe(in_parts(one_each([(m, h) for h, m in hashes]), 1).tables[0])
    assert mirrored.identity.tolist() == units.identity[:-1].tolist()
