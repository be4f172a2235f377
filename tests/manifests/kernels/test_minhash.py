"""Signatures are datasketch's, bit for bit; bands and bits are those of plain Python."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from datasketch.hashfunc import sha1_hash32
from hypothesis import given
from hypothesis import strategies as st

from manifests.kernels import minhash
from manifests.kernels.jaccard import agreement
from manifests.kernels.minhash import (
    Scheme,
    bands_of,
    bits_of,
    permutations_of,
    signatures_of,
    sketch,
)
from manifests.kernels.shingles import CHARACTERS, WHITESPACE, WORDS, shingles, text_hashes
from tests.manifests.kernels import reference

COUNTS = 1, 31, 32, 100, 112, 128, 260


def sets_of(*hashes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of some sets, and the offsets of each."""
    flat = np.array([hashed for own in hashes for hashed in own], np.uint32)
    return flat, np.cumsum([0, *map(len, hashes)])


def datasketch_of(hashes: list[int], count: int, seed: int) -> MinHash:
    made = MinHash(count, seed, hashfunc=int, scheme="affine32")
    made.update_batch(hashes)
    return made


@pytest.mark.parametrize("seed", [1, 0, 20260131])
@pytest.mark.parametrize("count", COUNTS)
def test_permutations_are_those_of_datasketch(count: int, seed: int) -> None:
    theirs = MinHash(count, seed, scheme="affine32").permutations
    ours = permutations_of(count, seed)
    assert [p.dtype for p in ours] == [np.uint32] * 2
    assert np.array_equal(ours, theirs)


@given(
    st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=50), max_size=5),
    st.sampled_from(COUNTS),
    st.integers(0, 2**32 - 1),
)
def test_signatures_are_those_of_datasketch_for_the_same_hashes(
    some: list[list[int]], count: int, seed: int
) -> None:
    ours = signatures_of(*sets_of(*some), count, seed)
    assert ours.dtype == np.uint32
    assert ours.shape == (len(some), count)
    for own, signature in zip(some, ours, strict=True):
        assert np.array_equal(signature, datasketch_of(own, count, seed).hashvalues)


def test_signatures_are_those_of_datasketch_for_words_hashed_by_sha1() -> None:
    texts = [text.split() for text in ("a rose is a rose", "a rose is a nose", "", "no more words")]
    hashed = [[sha1_hash32(word.encode()) for word in words] for words in texts]
    ours = signatures_of(*sets_of(*hashed), 128)
    for words, signature in zip(texts, ours, strict=True):
        theirs = MinHash(128)
        theirs.update_batch([word.encode() for word in words])
        assert theirs.scheme == "affine32"
        assert np.array_equal(signature, theirs.hashvalues)


def test_a_datasketch_minhash_of_our_values_can_be_updated_like_its_own() -> None:
    texts = pa.array(["the cat sat on the mat", "the cat sat on a mat", "", "漢字 the cat"])
    scheme = Scheme(WORDS, 2, 112, 14, 8, seed=7)
    signatures = sketch(texts, scheme, signatures=True).signatures
    assert signatures is not None
    offsets, hashes = shingles(texts, WORDS, 2, distinct=True)
    own = np.split(hashes, offsets[1:-1])
    ours = [MinHash(seed=7, hashfunc=int, hashvalues=s, scheme="affine32") for s in signatures]
    theirs = [datasketch_of(h.tolist(), 112, 7) for h in own]
    pairs = np.array([(i, j) for i in range(4) for j in range(4)])
    expected = [ours[i].jaccard(theirs[j]) for i, j in pairs]
    assert ours == theirs
    assert ours[2].is_empty()
    assert agreement(pairs, signatures).tolist() == np.float32(expected).tolist()
    ours[0].update(12345)
    theirs[0].update(12345)
    assert ours[0] == theirs[0]


@pytest.mark.parametrize(
    "scheme",
    [
        Scheme(WORDS, 5, 128, 20, 6),
        Scheme(WHITESPACE, 1, 112, 14, 8, seed=3),
        Scheme(CHARACTERS, 24, 260, 20, 13),
        Scheme(WORDS, 3, 33, 16, 2),
        Scheme(WORDS, 3, 7, 0, 0),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 500, 1 << 20])
def test_a_sketch_has_the_results_of_the_separate_functions(
    scheme: Scheme, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minhash, "_BLOCK_BYTES", block_bytes)
    draw = random.Random(3)
    some = [" ".join(draw.choices(["a", "Rose", "is", "漢", "?"], k=k % 90)) for k in range(200)]
    column = pa.array(["left out", *some, " ", "", "🎉", "left out"])[1:-1]
    made = sketch(column, scheme, signatures=True)
    offsets, hashes = shingles(column, scheme.tokens, scheme.n, distinct=False)
    expected = signatures_of(hashes, offsets, scheme.permutations, scheme.seed)
    python = [reference.shingles(t, scheme.tokens, scheme.n) for t in column.to_pylist()]
    assert np.array_equal(made.signatures, expected)
    assert np.array_equal(made.bands, bands_of(expected, scheme.bands, scheme.rows))
    assert np.array_equal(made.bits, bits_of(expected))
    assert made.present.tolist() == [len(grams) > 0 for _, grams in python]
    assert [tuple(i) for i in made.identity.tolist()] == [identity for identity, _ in python]
    without = sketch(column, scheme)
    assert without.signatures is None
    assert all(np.array_equal(a, b) for a, b in zip(made[:4], without[:4], strict=True))


def test_identities_by_whitespace_are_the_hashes_of_the_texts() -> None:
    texts = pa.array(["A  rose", "a rose\n", "a-rose", "", "?"])
    made = sketch(texts, Scheme(WHITESPACE, 5, 32, 4, 8))
    hashes, present = text_hashes(texts)
    assert np.array_equal(made.identity, hashes)
    assert np.array_equal(made.present, present)


def test_texts_without_tokens_are_not_present_and_have_the_signature_of_an_empty_set() -> None:
    made = sketch(pa.array(["", " \n\u3000", "!"]), Scheme(WORDS, 5, 100, 20, 5), signatures=True)
    assert made.signatures is not None
    assert made.present.tolist() == [False, False, True]
    assert (made.signatures[:2] == 2**32 - 1).all()
    assert made.identity[:2].tolist() == [[0, 0], [0, 0]]
    assert MinHash(hashvalues=made.signatures[0], scheme="affine32").is_empty()


def test_an_empty_column_has_no_sketches() -> None:
    made = sketch(pa.array([], pa.string()), Scheme(WORDS, 5, 128, 20, 6), signatures=True)
    assert [column.shape for column in made] == [(0,), (0, 2), (0, 20), (0, 2), (0, 128)]


@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 2**32))
def test_bands_and_bits_are_those_of_plain_python(count: int, rows: int, seed: int) -> None:
    signatures = np.random.default_rng(seed).integers(0, 2**32, (3, count), np.uint32)
    keys = bands_of(signatures, count // rows, rows)
    assert keys.dtype == bits_of(signatures).dtype == np.uint64
    rows_ = signatures.tolist()
    assert keys.tolist() == [reference.bands(s, count // rows, rows) for s in rows_]
    assert bits_of(signatures).tolist() == [reference.bits(s) for s in rows_]


def test_two_bands_with_the_same_values_have_different_hashes() -> None:
    signatures = np.full((3, 600), [[0], [7], [2**32 - 1]], np.uint32)
    for rows in (1, 2, 6):
        assert len(np.unique(bands_of(signatures, 600 // rows, rows))) == 3 * (600 // rows)


def test_signatures_estimate_the_similarity_of_sets_without_bias() -> None:
    """300 pairs of 400 hashes of which 300 are common, estimated by 128 values each: the mean of
    all estimates has a standard deviation of 0.0025."""
    drawn = np.random.default_rng(11).integers(0, 2**32, (300, 500), np.uint32)
    sets = [row[side : side + 400].tolist() for row in drawn for side in (0, 100)]
    signatures = signatures_of(*sets_of(*sets), 128)
    pairs = np.arange(600).reshape(300, 2)
    assert abs(agreement(pairs, signatures).mean() - 300 / 500) < 4 * 0.0025
    bits = bits_of(signatures)
    same = 1 - np.bitwise_count(bits[pairs[:, 0]] ^ bits[pairs[:, 1]]).sum(axis=1) / 128
    assert abs(2 * same.mean() - 1 - 300 / 500) < 4 * 0.0041
