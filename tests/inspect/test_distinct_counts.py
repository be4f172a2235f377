"""Estimates of distinct texts, images and n-grams: datasketch's registers, and merging."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from datasketch import HyperLogLogPlusPlus
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.inspect.distinct import (
    STANDARD_ERROR,
    Sketch,
    counts,
    empty_sketch,
    estimate,
    merged,
    sketch_of,
)
from manifests.kernels import distinct as kernels
from tests.filters.rows import media_records, text_records

hashes = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 63).map(lambda b: 1 << b)))


def of_hashes(some: list[int] | np.ndarray, p: int = 16) -> np.ndarray:
    registers = np.zeros(1 << p, np.uint8)
    kernels.add(registers, np.array(some, np.uint64))
    return registers


def random_hashes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def same(a: Sketch, b: Sketch) -> bool:
    return a.records == b.records and all(
        np.array_equal(x, y) for x, y in zip(a[1:], b[1:], strict=True)
    )


@given(hashes, st.sampled_from([4, 5, 11, 16]))
def test_registers_are_those_of_datasketch(some: list[int], p: int) -> None:
    theirs = HyperLogLogPlusPlus(p=p, hashfunc=lambda hashed: hashed)
    for hashed in some:
        theirs.update(hashed)
    assert of_hashes(some, p).tolist() == theirs.reg.tolist()


@pytest.mark.parametrize("count", [1, 1000, 60_000, 170_000, 400_000, 3_000_000])
def test_estimates_are_within_three_standard_errors(count: int) -> None:
    found = [estimate(of_hashes(random_hashes(count, seed))) / count - 1 for seed in range(3)]
    assert max(map(abs, found)) < 3 * STANDARD_ERROR
    assert math.isclose(STANDARD_ERROR, 1.04 / math.sqrt(len(empty_sketch().texts)))


def test_no_records_are_estimated_as_zero() -> None:
    assert counts(empty_sketch()) == (0, 0, 0, 0)
    assert counts(sketch_of(text_records())) == (0, 0, 0, 0)


def test_texts_that_differ_only_in_case_and_whitespace_count_as_one() -> None:
    texts = ["A dog runs.", "a  DOG\nruns. ", "A dog runs", "", None, "  ", "犬", "犬 "]
    assert counts(sketch_of(text_records(*texts)))[:2] == (8, 3)


def test_images_are_identified_by_digest_if_they_have_one_else_by_uri_and_offset() -> None:
    def image(uri: str, offset: int | None = None, digest: str | None = None) -> dict[str, object]:
        return {"kind": "image", "uri": uri, "offset": offset, "digest": digest}

    batch = media_records(
        [image("a.tar", 0), image("a.tar", 512)],
        [image("a.tar", 512), image("A.tar", 512), image("a.tar")],
        [],
        [image("x.jpg", None, "xxh128:01"), image("y.jpg", 7, "xxh128:01"), image("y.jpg", 7)],
        [{"kind": "video", "uri": "v.mp4"}, image("z.jpg", None, "xxh128:01")],
    )
    assert counts(sketch_of(batch)).images == 6
    assert counts(sketch_of(batch[1:])).images == 5


def test_images_at_regular_offsets_of_one_file_count_as_different() -> None:
    places = [[{"kind": "image", "uri": "a.tar", "offset": 1024 * n}] for n in range(5000)]
    found = counts(sketch_of(media_records(*places))).images
    assert abs(found / 5000 - 1) < 3 * STANDARD_ERROR


@pytest.mark.parametrize("n", [2, 3, 5])
def test_ngrams_are_counted_once(n: int) -> None:
    draw = np.random.default_rng(n)
    texts = [" ".join(draw.choice(["a", "b", "c", "d"], size)) for size in (1, 4, 30, 3000)]
    grams = {tuple(w[i : i + n]) for w in map(str.split, texts) for i in range(len(w) - n + 1)}
    found = counts(sketch_of(text_records(*texts), n)).ngrams
    assert abs(found - len(grams)) <= max(1, 4 * STANDARD_ERROR * len(grams))


def test_a_text_shorter_than_an_ngram_has_none() -> None:
    assert counts(sketch_of(text_records("one two three four"), 5)).ngrams == 0
    same = text_records("one two three four five", "ONE-two three: four, five")
    assert counts(sketch_of(same)).ngrams == 1


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["a b c d e f", "a", "b c d e f g", None, "猫が好きです。"])))
def test_merging_parts_in_any_order_gives_the_sketch_of_all(texts: list[str | None]) -> None:
    whole = sketch_of(text_records(*texts))
    batch = text_records(*texts)
    for cut in range(len(texts) + 1):
        a, b = sketch_of(batch[:cut]), sketch_of(batch[cut:])
        assert same(merged(a, b), whole)
        assert same(merged(b, a), whole)
    assert same(merged(whole, empty_sketch()), whole)
    assert same(
        merged(merged(whole, whole), empty_sketch()), whole._replace(records=2 * len(texts))
    )


def test_string_hashes_are_those_of_the_strings_and_their_numbers() -> None:
    column = pa.array(["left out", "a", "b", "a", "", None, "left out"])[1:-1]
    same = np.zeros(5, np.uint64)
    plain = kernels.string_hashes(column, same)
    assert plain[0] == plain[2]
    assert len({*plain[[0, 1, 3]].tolist()}) == 3
    assert not set(kernels.string_hashes(column, same + np.uint64(1))) & set(plain)
