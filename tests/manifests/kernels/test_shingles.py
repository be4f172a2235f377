"""Tokens, their n-grams and the identity of a text are those of plain Python, bit for bit."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
import unicodedata
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.kernels import shingles as kernels
from manifests.kernels.shingles import (
    CHARACTERS,
    WHITESPACE,
    WORDS,
    in_blocks,
    shingles,
    text_hashes,
)
from manifests.text import code_points
from tests.filters.rows import naughty_strings, real_captions
from tests.manifests.kernels import reference

KINDS = WORDS, WHITESPACE, CHARACTERS
SPACES = "".join(c for c in map(chr, range(0x110000)) if c.isspace())
TRICKY = (
    "aAzZ09@[`{/:bİıßΣσςKȺ ١٣Ⅷ½e\u0301漢字、ねこｶﾞ한국어हिन्दीไทยລາວខ្មែរမြန်မာ"  # noqa: RUF001
    "👩‍👩‍👧❤️🏽\u200b\u2028\x00\x1c\x85\U000e0100\U0002f800"
)
texts = st.one_of(
    st.text(),
    st.text(alphabet="aB! ", max_size=90),
    st.text(alphabet=TRICKY + SPACES, max_size=140),
    st.text(alphabet="abcdefgh", max_size=70),
    st.lists(st.sampled_from(["the", "cat", "The", "sat.", "猫", "-", "a" * 60])).map(" ".join),
)


def check(some: list[str], kind: int, n: int) -> None:
    """Compare shingles and identities of a column that is a slice of another, also in blocks."""
    column = pa.array(["left out", *some, "left out, too"])[1:-1]
    expected = [reference.shingles(text, kind, n) for text in some]
    for distinct in (False, True):
        grams = [list(dict.fromkeys(g)) if distinct else g for _, g in expected]
        offsets, hashes = shingles(column, kind, n, distinct)
        assert offsets.dtype == np.int64
        assert hashes.dtype == np.uint32
        assert offsets.tolist() == [0, *np.cumsum([len(g) for g in grams])]
        assert hashes.tolist() == [hashed for g in grams for hashed in g]
    identities, hashes = [], []
    for block in in_blocks(column, kind, n, False, 99):
        own = some[len(identities) :][: len(block.identity)]
        assert len(own) <= 1 or len("".join(own).encode()) <= 99
        identities += [tuple(identity) for identity in block.identity.tolist()]
        hashes += block.hashes.tolist()
    assert identities == [identity for identity, _ in expected]
    assert hashes == [hashed for _, g in expected for hashed in g]


@given(st.lists(texts, max_size=6), st.sampled_from(KINDS), st.integers(1, 7))
@example(["a" * size for size in range(1, 40)], WHITESPACE, 1)
@example(["x " * size for size in range(30, 68)], WORDS, 3)
@example(["!" * size + "é" for size in range(60, 70)], CHARACTERS, 5)
def test_shingles_are_those_of_plain_python(some: list[str], kind: int, n: int) -> None:
    check(some, kind, n)


@pytest.mark.parametrize("kind", KINDS)
def test_every_ascii_character_separates_as_in_plain_python(kind: int) -> None:
    check([f"a{chr(c)}b" for c in range(128)] + ["".join(map(chr, range(128)))], kind, 1)


@pytest.mark.parametrize(("kind", "n"), list(zip(KINDS, (5, 1, 24), strict=True)))
def test_shingles_are_those_of_plain_python_on_real_texts(
    real_data: Path, kind: int, n: int
) -> None:
    files = sorted((real_data / "hostile" / "utf8tests").rglob("*.txt"))
    whole = [f.read_bytes().decode("utf-8", "replace") for f in files]
    check([*real_captions(real_data)[:500], *naughty_strings(real_data), *whole], kind, n)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, 2nd_time!", ["don", "t", "stop", "2nd", "time"]),
        ("漢字とカナ", ["漢", "字", "と", "カ", "ナ"]),
        ("ไทย ລາວ", ["ไ", "ท", "ย", "ລ", "າ", "ວ"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("abc漢x", ["abc", "漢", "x"]),
        ("İSTANBUL STRASSE", ["istanbul", "strasse"]),
        ("\u0301 -\u0301a\u0301", ["a\u0301"]),
        ("❤️ 漢\U000e0100", ["漢"]),
        ("a\u200bb\xa0c", ["a", "b", "c"]),
    ],
)
def test_a_word_is_a_run_of_letters_marks_and_numbers_or_one_character_of_a_script_without_spaces(
    text: str, words: list[str]
) -> None:
    assert reference.tokens(text, WORDS) == words
    check([text], WORDS, 1)


def test_encodings_are_python_s_for_every_character() -> None:
    for kind, spellings in zip((WHITESPACE, WORDS), code_points.encoding_table(), strict=True):
        for point, spelling in enumerate(spellings.tolist()):
            unassigned = unicodedata.category(chr(point)) in ("Cn", "Co", "Cs")
            if not unassigned or point % 61 == 0:  # all of them would take too long
                assert spelling == spelled(chr(point), kind), hex(point)


def spelled(character: str, kind: int) -> int:
    alone = kind == WORDS and reference.stands_alone(character)
    mark = kind == WORDS and unicodedata.category(character)[0] == "M" and not alone
    space = " " if alone else ""
    text = f"{space}{reference.lower(character)}{space}"
    data = (" " if reference.separates(character, kind) else text).encode("utf-8", "surrogatepass")
    return int.from_bytes(data, "little") | len(data) << 56 | mark << 63


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_with_too_few_tokens_has_one_shingle_of_its_own(kind: int) -> None:
    some = ["ab", "ab ab", "ab ba", "ab ab ab", "AB   ab\n", "b"]
    offsets, hashes = shingles(pa.array(some), kind, 9, distinct=False)
    assert offsets.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(set(hashes.tolist())) == 5
    assert hashes[4] == hashes[1]


def test_a_text_without_words_has_one_shingle_of_its_tokens_at_whitespace() -> None:
    some = ["!!!", "! !!", "!\t!!", "❤️", "☀️", "🎉🎉", "🎉", "\u200b", "...", " ", "", "\u2003\n"]
    offsets, hashes = shingles(pa.array(some), WORDS, 1, distinct=False)
    assert np.diff(offsets).tolist() == [1] * 9 + [0] * 3
    assert hashes[1] == hashes[2]
    assert len(set(hashes.tolist())) == 8
    identity = next(in_blocks(pa.array(some), WORDS, 1, False, 1 << 20)).identity
    assert identity.tolist() == text_hashes(pa.array(some))[0].tolist()


def test_text_hashes_differ_by_punctuation_not_by_capitals_or_whitespace() -> None:
    same = ["A cat, sat.", "a  CAT,\n\tsat.", " a cat, sat.\u3000"]
    others = [
        "a cat sat.",
        "a cat, sat",
        "acat, sat.",
        "a cat, sat..",
        "cat a, sat.",
        "a cat , sat.",
    ]
    hashes, present = text_hashes(pa.array([*same, *others, "", " \n"]))
    assert hashes.dtype == np.uint64
    assert present.tolist() == [True] * 9 + [False] * 2
    found = [tuple(h) for h in hashes.tolist()]
    assert len(set(found[:3])) == 1
    assert len(set(found[:9])) == 7
    assert found[9:] == [(0, 0), (0, 0)]
    assert found[:9] == [reference.identity(reference.tokens(t, WHITESPACE)) for t in same + others]


def test_identities_differ_where_words_are_stretched_swapped_or_moved() -> None:
    """Weak hashes, by polynomials or by lengths, make all texts of such a family collide."""
    stretched = [a + b + c * size for a in "ms" for b in "aclo" for c in "lo" for size in range(30)]
    digits = [f"{a}bcdefg{b} {c}bcdefg{d}" for a, b, c, d in product("09ap", repeat=4)]
    turns = [format(i, "b").count("1") % 2 for i in range(4096)]  # Thue and Morse
    morse = [" ".join("ab"[turn ^ swap] for turn in turns) for swap in (0, 1)]
    some = sorted({*stretched, *digits, *morse})
    hashes, _ = text_hashes(pa.array(some))
    for lane in range(2):
        assert len(np.unique(hashes[:, lane])) == len(some)
        spread = np.unpackbits(np.ascontiguousarray(hashes[:, lane]).view(np.uint8)).mean()
        assert abs(spread - 0.5) < 0.02


@pytest.mark.parametrize(("kind", "n"), [(WORDS, 5), (WHITESPACE, 2), (CHARACTERS, 12)])
def test_shingles_collide_no_more_than_32_random_bits_do(kind: int, n: int) -> None:
    draw = random.Random(5)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 9))) for _ in range(400)]
    some = [" ".join(draw.choices(words, k=300)) for _ in range(400)]
    tokens = [reference.tokens(text, kind) for text in some]
    grams = {tuple(t[i : i + n]) for t in tokens for i in range(len(t) - n + 1)}
    _, hashes = shingles(pa.array(some), kind, n, distinct=False)
    collisions = len(grams) - len(np.unique(hashes))
    chance = len(grams) ** 2 / 2**33
    assert collisions <= chance + 4 * chance**0.5 + 1


@given(st.lists(st.binary(max_size=150), min_size=1, max_size=4), st.sampled_from(KINDS))
@example([("漢" * 50).encode()], WORDS)
@example([("Ⱥ" * 50).encode()], WORDS)
@example([("a漢" * 50).encode()], WORDS)
@example([b"a " * 50 + b"a"], WORDS)
@example([b"a" * 101], CHARACTERS)
@example([b"\xff" * 99 + b"a"], WORDS)
@example([b"\xc3", b"\xe6\xbc", b"\xf0\x9f\x8e"], WHITESPACE)
def test_no_bytes_at_all_are_written_beyond_the_scratch_memory(
    some: list[bytes], kind: int
) -> None:
    offsets = np.cumsum([0, *map(len, some)]).astype(np.int32)
    data = np.frombuffer(b"".join(some), np.uint8)
    scratch = kernels._scratch(max(map(len, some)), kind, True)
    sizes = {name: len(array) for name, array in scratch._asdict().items() if name != "encodings"}
    for name, size in sizes.items():
        fenced = np.full(size + 99, 97, scratch._asdict()[name].dtype)
        scratch = scratch._replace(**{name: fenced})
    scratch.slots[: sizes["slots"]] = 0
    max_tokens = kernels._max_tokens(len(data), kind) + len(some)
    grams = np.full(max_tokens + 99, 97, np.uint32)
    identity, ends = np.zeros((len(some), 2), np.uint64), np.zeros(len(some) + 1, np.int64)
    kernels._shingle(offsets, data, kind, 1, True, scratch, identity, ends, grams)
    assert ends[-1] <= max_tokens
    assert (grams[max_tokens:] == 97).all()
    for name, size in sizes.items():
        assert (scratch._asdict()[name][size:] == 97).all(), name


def test_a_text_is_not_read_beyond_the_end_of_its_buffer() -> None:
    """Each text lies just before a page of memory of which any read ends the process."""
    script = """
import ctypes, mmap
import numpy as np, pyarrow as pa
from manifests.kernels.shingles import shingles, text_hashes
from tests.manifests.kernels import reference

page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), page, 0) == 0
for size in range(1, 200):
    for letters in ("aB cd! ", "é漢 a", "a b\U0001f389"):
        text = (letters * size)[:size]
        data = text.encode()
        memory[page - len(data) : page] = data
        ends = pa.py_buffer(np.array([0, len(data) // 2, len(data)], np.int32))
        if data[len(data) // 2] & 0xC0 == 0x80:
            ends = pa.py_buffer(np.array([0, 0, len(data)], np.int32))
        buffer = pa.foreign_buffer(start + page - len(data), len(data), memory)
        column = pa.StringArray.from_buffers(2, ends, buffer)
        expected = [hashed for t in column.to_pylist() for hashed in reference.shingles(t, 0, 2)[1]]
        assert shingles(column, 0, 2, False)[1].tolist() == expected
    for broken in (b"\\xc3", b"\\xe6\\xbc", b"\\xf0\\x9f", b"\\xf0\\x9f\\x8e", b"\\xff"):
        data = b"a" * size + broken
        memory[page - len(data) : page] = data
        ends = pa.py_buffer(np.array([0, len(data)], np.int32))
        buffer = pa.foreign_buffer(start + page - len(data), len(data), memory)
        assert len(shingles(pa.StringArray.from_buffers(1, ends, buffer), 0, 2, False)[1]) > 0
print("read")
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "read\n", "")


@pytest.mark.parametrize("column", [pa.array([], pa.string()), pa.array(["", " "])])
def test_columns_without_tokens_have_no_shingles(column: pa.Array) -> None:
    for kind in KINDS:
        offsets, hashes = shingles(column, kind, 3, distinct=True)
        assert offsets.tolist() == [0] * (len(column) + 1)
        assert hashes.tolist() == []
    hashes, present = text_hashes(column)
    assert hashes.tolist() == [[0, 0]] * len(column)
    assert present.tolist() == [False] * len(column)


@pytest.mark.parametrize("unit", ["a", "ab c", "漢字", "the cat sat on the mat. "])
def test_ten_megabytes_take_seconds_and_little_memory(unit: str) -> None:
    column = pa.array([unit * (10_000_000 // len(unit.encode()))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    for kind in KINDS:
        assert len(shingles(column, kind, 5, distinct=True)[1]) > 0
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
