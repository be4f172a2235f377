"""Tokens, shingles, signatures and hashes in plain Python, equal to the kernels bit for bit."""

from __future__ import annotations

import unicodedata

WORDS, WHITESPACE, CHARACTERS = 0, 1, 2
MASK = 2**64 - 1
KEYS = 0x2D358DCCAA6C78A5, 0x8BB84B93962EACC9, 0x4B33A62ED433D4A3, 0x4D5A2DA51DE1AA47
BASE, SPREAD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
WITHOUT_SPACES = (
    "CJK UNIFIED IDEOGRAPH",
    "CJK COMPATIBILITY IDEOGRAPH",
    "IDEOGRAPHIC ITERATION MARK",
    "IDEOGRAPHIC CLOSING MARK",
    "IDEOGRAPHIC NUMBER ZERO",
    "HIRAGANA ",
    "HENTAIGANA ",
    "KATAKANA ",
    "KATAKANA-HIRAGANA ",
    "COMBINING KATAKANA-HIRAGANA ",
    "HALFWIDTH KATAKANA",
    "THAI ",
    "LAO ",
    "MYANMAR ",
    "KHMER ",
)


def separates(character: str, kind: int) -> bool:
    if kind == WORDS:
        return unicodedata.category(character)[0] not in "LMN"
    return character.isspace()


def stands_alone(character: str) -> bool:
    name = unicodedata.name(character, "")
    return name.startswith(WITHOUT_SPACES) and not separates(character, WORDS)


def lower(text: str) -> str:
    return "".join(character.lower()[0] for character in text)


def tokens(text: str, kind: int) -> list[str]:
    """The tokens of a text; a text without words has none (for its shingle see `shingles`)."""
    if kind == WHITESPACE:
        return lower(text).split()
    if kind == CHARACTERS:
        return list(" ".join(lower(text).split()))
    found, inside = [], False
    for character in text:
        small = lower(character)
        if separates(character, WORDS):
            inside = False
        elif stands_alone(character):
            found.append(small)
            inside = False
        elif inside:
            found[-1] += small
        elif unicodedata.category(character)[0] != "M":
            found.append(small)
            inside = True
    return found


def folded(a: int, b: int) -> int:
    return (a * b >> 64) ^ (a * b & MASK)


def hash_token(token: str) -> tuple[int, int]:
    data = token.encode("utf-8", "surrogatepass")
    first = int.from_bytes(data[:8], "little") ^ KEYS[0]
    last = int.from_bytes(data[-8:], "little") ^ len(data) * KEYS[1] & MASK
    for at in range(8, len(data) - 8, 8):
        first = folded(first, KEYS[2]) ^ int.from_bytes(data[at : at + 8], "little")
    return folded(first, last), first * last & MASK


def mixed(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & MASK
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def identity(some: list[str]) -> tuple[int, int]:
    lanes = [KEYS[0], KEYS[1]]
    for token in some:
        for lane, hashed in enumerate(hash_token(token)):
            turned = (lanes[lane] << 29 | lanes[lane] >> 35) & MASK
            lanes[lane] = (turned ^ hashed) * KEYS[2 + lane] & MASK
    return mixed(lanes[0]), mixed(lanes[1])


def shingles(text: str, kind: int, n: int) -> tuple[tuple[int, int], list[int]]:
    """The identity of a text and the hashes of its n-grams."""
    own = tokens(text, kind)
    all_tokens = tokens(text, WORDS if kind == WORDS and own else WHITESPACE)
    if not all_tokens:
        return (0, 0), []
    if len(own) < n:
        return identity(all_tokens), [identity(all_tokens)[0] >> 32]
    hashes = [hash_token(token)[0] for token in own]
    grams = []
    for i in range(len(own) - n + 1):
        gram = 0
        for hashed in hashes[i : i + n]:
            gram = gram * BASE + hashed & MASK
        grams.append(((gram ^ gram >> 32) * SPREAD & MASK) >> 32)
    return identity(all_tokens), grams


def bands(signature: list[int], count: int, rows: int) -> list[int]:
    keys = []
    for band in range(count):
        key = (band + 1) * BASE & MASK
        for value in signature[band * rows : (band + 1) * rows]:
            key = (key ^ value) * SPREAD & MASK
            key ^= key >> 32
        keys.append(key)
    return keys


def bits(signature: list[int]) -> list[int]:
    """One bit of each of the first 128 values, as two numbers of 64 bits."""
    some = [(value * 0x9E3779B1 >> 31) & 1 for value in signature[:128]] + [0] * 128
    return [sum(bit << i for i, bit in enumerate(some[at : at + 64])) for at in (0, 64)]
