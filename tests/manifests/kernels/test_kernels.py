"""The text measures are those of plain Python, bit for bit; how loops are compiled and kept."""

from __future__ import annotations

import random
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.kernels import compiling
from manifests.kernels import text_measures as kernels
from manifests.text import code_points
from tests.filters.rows import naughty_strings, real_captions
from tests.filters.text import reference

SPACES = "".join(c for c in map(chr, range(0x110000)) if c.isspace())
TRICKY = "aAbİıßΣσς १٣Ⅷ½e\u0301漢字、ねこ한국어ไทย👩‍👩‍👧❤️🏽\u200b\u2028\x00\x1c\x85"  # noqa: RUF001
texts = st.one_of(
    st.text(),
    st.text(alphabet="ab ", max_size=80),
    st.text(alphabet=TRICKY + SPACES, max_size=80),
    st.lists(st.sampled_from(["the", "cat", "The", "sat.", "猫"])).map(" ".join),
)


def check(some: list[str], n: int) -> None:
    """Compare every kernel with its reference, on a column that is a slice of another."""
    column = pa.array(["left out", *some, "left out, too"])[1:-1]
    assert kernels.word_counts(column).tolist() == [reference.words(t) for t in some]
    for kind, share in (
        (code_points.ALPHANUMERIC, reference.alphanumeric),
        (code_points.SPECIAL, reference.special),
    ):
        assert kernels.shares(column, kind).tolist() == [share(t) for t in some]
    for kernel, repetition in (
        (kernels.character_repetition, reference.character_repetition),
        (kernels.word_repetition, reference.word_repetition),
    ):
        assert kernel(column, n).tolist() == [repetition(t, n) for t in some]


@given(st.lists(texts, max_size=6), st.integers(1, 12))
def test_measures_are_those_of_plain_python(some: list[str], n: int) -> None:
    check(some, n)


def test_measures_are_those_of_plain_python_on_real_captions(real_data: Path) -> None:
    check(real_captions(real_data), 5)


def test_measures_are_those_of_plain_python_on_hostile_texts(real_data: Path) -> None:
    files = sorted((real_data / "hostile" / "utf8tests").rglob("*.txt"))
    whole = [f.read_bytes().decode("utf-8", "replace") for f in files]
    check(
        [
            *naughty_strings(real_data),
            *whole,
            *(line for text in whole for line in text.splitlines()),
        ],
        4,
    )


def test_broken_utf8_is_not_read_beyond_its_text() -> None:
    broken = [b"\xff", b"\xe6\xbc", b"a\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xc3"]
    offsets = np.cumsum([0, *map(len, broken)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(broken))]
    column = pa.StringArray.from_buffers(len(broken), buffers[1], buffers[2])
    assert kernels.word_counts(column).tolist() == [1, 1, 1, 1, 1]
    assert kernels.character_repetition(column, 1).tolist() == [0, 1, 2 / 3, 0, 0]


@pytest.mark.parametrize("column", [pa.array([], pa.string()), pa.array(["", ""])])
def test_columns_without_characters_measure_zero(column: pa.Array) -> None:
    zeros = [0] * len(column)
    assert kernels.word_counts(column).tolist() == zeros
    assert kernels.shares(column, code_points.SPECIAL).tolist() == zeros
    assert kernels.character_repetition(column, 10).tolist() == zeros
    assert kernels.word_repetition(column, 5).tolist() == zeros


def test_counting_in_several_passes_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(7)
    some = ["".join(draw.choices("abcd ", k=5000)), " ".join(draw.choices("ab", k=3000))]
    monkeypatch.setattr(kernels, "_TABLE_BITS", 8)
    check(some, 5)


def test_a_text_that_overfills_its_table_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_TABLE_BITS", 4)
    some = pa.array(["".join(map(chr, range(0x4E00, 0x4E00 + 2000)))])
    assert kernels.character_repetition(some, 2).tolist() == [0]


@pytest.mark.parametrize("unit", ["a", "ab c", "漢字", "the cat sat on the mat. "])
def test_ten_megabytes_take_seconds_and_little_memory(unit: str) -> None:
    column = pa.array([unit * (10_000_000 // len(unit.encode()))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    assert kernels.character_repetition(column, 10)[0] > 0
    assert kernels.word_repetition(column, 5)[0] >= 0
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


def test_lower_case_is_python_s_for_every_character() -> None:
    lower = code_points.lower_case_table()
    for point in range(code_points.CODE_POINTS):
        small = ord(chr(point).lower()[0])
        assert small == (lower[point] if point < len(lower) else point), hex(point)


def test_classes_are_python_s_for_every_character() -> None:
    classes = code_points.class_table()
    every = [chr(point) for point in range(code_points.CODE_POINTS)]
    for bit, of in (
        (code_points.SPACE, str.isspace),
        (code_points.ALPHANUMERIC, str.isalnum),
        (code_points.SPECIAL, lambda c: reference.special(c) == 1),
    ):
        assert ((classes & bit) > 0).tolist() == [of(c) for c in every]


def test_compiled_loops_are_kept_under_the_digest_of_what_they_are_made_of(tmp_path: Path) -> None:
    original = Path(kernels.__file__)
    digest = compiling.digest(str(original))
    assert kernels._count_words.py_func.__qualname__ == f"_count_words-{digest}"
    shutil.copytree(original.parents[1], tmp_path / "manifests")
    copy = str(tmp_path / "manifests" / "kernels" / original.name)
    for changed, same in (("kernels/fasttext.py", True), ("kernels/decoding.py", False),
                          ("text/code_points.py", False)):  # fmt: skip
        with (tmp_path / "manifests" / changed).open("a") as file:
            file.write("#")
        compiling.digest.cache_clear()
        assert (compiling.digest(copy) == digest) is same
    compiling.digest.cache_clear()


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import int64

    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    made: dict[str, object] = {"__name__": "made"}
    exec(compile("def twice(x):\n    return 2 * x\n", "/dev/null/made.py", "exec"), made)
    assert compiling.compiled(int64(int64))(made["twice"])(21) == 42
