"""The operations in LLVM and the plain loops give the same results."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from manifests.kernels import simd_llvm, simd_plain

BOTH = simd_llvm, simd_plain
words = st.integers(0, 2**64 - 1)
TEXT = np.random.default_rng(1).permutation(np.tile(np.arange(256), 4)).astype(np.uint8)


def caller(module: ModuleType, name: str, arguments: str) -> Any:
    """A compiled function that calls one operation: an intrinsic is called from kernels only."""
    made = {"operation": getattr(module, name)}
    exec(f"def call({arguments}):\n    return operation({arguments})\n", made)
    return njit(made["call"])


def callers(name: str, arguments: str) -> list[Any]:
    return [caller(module, name, arguments) for module in BOTH]


LOWEST, COUNT = callers("lowest_bit", "mask"), callers("count_bits", "mask")
UPPER = callers("upper_product", "a, b")


@given(words, words)
@example(0, 2**64 - 1)
@example(2**64 - 1, 2**64 - 1)
def test_counts_lowest_bits_and_upper_products_are_those_of_plain_python(a: int, b: int) -> None:
    one, other = np.uint64(a), np.uint64(b)
    lowest = (a & -a).bit_length() - 1 if a else 64
    assert [call(one) for call in LOWEST] == [lowest] * 2
    assert [call(one) for call in COUNT] == [a.bit_count()] * 2
    assert [int(call(one, other)) for call in UPPER] == [a * b >> 64] * 2


def test_eight_bytes_are_loaded_and_stored_from_any_place() -> None:
    loads, stores = callers("load8", "source, at"), callers("store8", "target, at, value")
    for at in range(20):
        expected = int.from_bytes(TEXT[at : at + 8].tobytes(), "little")
        assert [int(load(TEXT, at)) for load in loads] == [expected] * 2
        for store in stores:
            target = np.zeros(40, np.uint8)
            store(target, at, np.uint64(expected))
            assert target.tobytes() == bytes(at) + TEXT[at : at + 8].tobytes() + bytes(32 - at)


def test_blocks_are_lower_cased() -> None:
    for at in range(0, 900, 7):
        found = []
        for lower in callers_of_blocks:
            target = np.zeros(100, np.uint8)
            found.append((int(lower(TEXT, at, target, 3)), target.tobytes()))
        block = TEXT[at : at + 64].tobytes()
        mask = sum((byte >= 128) << i for i, byte in enumerate(block))
        assert found == [(mask, bytes(3) + block.lower() + bytes(33))] * 2


callers_of_blocks = callers("lower_block", "source, at, target, to")


def test_underscores_are_found() -> None:
    for at in range(0, 900, 7):
        block = TEXT[at : at + 64].tolist()
        expected = sum((byte == ord("_")) << i for i, byte in enumerate(block))
        found = [int(mask(TEXT, at)) for mask in callers("underscore_mask", "source, at")]
        assert found == [expected] * 2


@pytest.mark.parametrize("by_words", [False, True])
def test_separators_are_found(by_words: bool) -> None:
    masks = callers("separator_mask", "source, at, by_words")
    for at in range(0, 900, 7):
        block = TEXT[at : at + 64].tolist()
        separates = [
            byte < 128 and (not (chr(byte).isdigit() or chr(byte).islower()) if by_words
                            else chr(byte).isspace())
            for byte in block
        ]  # fmt: skip
        expected = sum(one << i for i, one in enumerate(separates))
        assert [int(mask(TEXT, at, by_words)) for mask in masks] == [expected] * 2


@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_minima_are_found(count: int) -> None:
    draw = np.random.default_rng(count)
    hashes, a, b = draw.integers(0, 2**32, (3, 96), np.uint32)
    found = []
    for minima_of in callers("affine_minima", "hashes, count, a, b, first, minima"):
        minima = np.zeros(96, np.uint32)
        minima_of(hashes, count, a, b, 32, minima)
        found.append(minima.tolist())
    with np.errstate(over="ignore"):
        values = a[32:64, None] * hashes[:count] + b[32:64, None]
    expected = values.min(axis=1, initial=2**32 - 1).tolist()
    assert found == [[0] * 32 + expected + [0] * 32] * 2


SHINGLES = """
import pyarrow as pa
from manifests.kernels import simd, simd_plain
from manifests.kernels.shingles import shingles
assert (simd.load8 is simd_plain.load8) is PLAIN
texts = pa.array(["The cat sat.", "猫 " * 40, "", "a" * 300, "é-É " * 20])
print([shingles(texts, tokens, 3, True)[1].tolist() for tokens in range(3)])
"""


def test_shingles_are_the_same_with_plain_loops() -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-c", SHINGLES.replace("PLAIN", str(plain))],
            env={**os.environ, "CURATE_PLAIN_LOOPS": str(int(plain))},
            capture_output=True, text=True, check=True,
        ).stdout
        for plain in (False, True)
    ]  # fmt: skip
    assert answers[0] == answers[1] != ""
