"""Byte-pair encoding in plain Python, and the packaged vocabulary as a tokenizer.json."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from unicodedata import normalize

import regex

from manifests.models.qwen_tokenizer import VOCABULARY, WORDS, read_ranks


@cache
def ranks() -> dict[bytes, int]:
    return read_ranks(VOCABULARY.read())


def encode(text: str) -> list[bytes]:
    """The tokens of a text by Qwen's vocabulary: `"a red car" -> [b"a", b" red", b" car"]`."""
    words = regex.findall(WORDS, normalize("NFC", text))
    return [token for word in words for token in merged(word.encode(), len(ranks()))]


def merged(word: bytes, below: int) -> list[bytes]:
    """The bytes of a word, joined pair by pair, the pair of the lowest rank first, as long as this
    rank is under `below`."""
    parts, known = [bytes([byte]) for byte in word], ranks()
    while len(parts) > 1:
        pairs = [known.get(a + b, below) for a, b in pairwise(parts)]
        at = pairs.index(min(pairs))
        if pairs[at] >= below:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def tokenizer_json() -> bytes:
    """The tokenizer.json that Qwen publishes for Qwen2, made of the ranks: a merge for each token,
    and the three special tokens."""
    written = {token: as_text(token) for token in ranks()}
    merges = [
        [written[part] for part in merged(token, rank)]
        for token, rank in sorted(ranks().items(), key=lambda item: item[1])
        if len(token) > 1
    ]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    split = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False}
    flags = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    byte_level = {"type": "ByteLevel", **flags}
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
        "continuing_subword_prefix": "", "end_of_word_suffix": "", "byte_fallback": False,
        "vocab": {written[token]: rank for token, rank in ranks().items()}, "merges": merges,
    }  # fmt: skip
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(ranks()) + n, "content": token, "special": True, "normalized": False,
             "single_word": False, "lstrip": False, "rstrip": False}
            for n, token in enumerate(special)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": model,
    }  # fmt: skip
    return json.dumps(content).encode()


def as_text(token: bytes) -> str:
    """A token as a tokenizer.json writes it: each byte is a visible character (GPT-2's
    `bytes_to_unicode`)."""
    return "".join(_CHARACTERS[byte] for byte in token)


_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHER = [byte for byte in range(0x100) if byte not in _VISIBLE]
_CHARACTERS = {byte: chr(byte) for byte in _VISIBLE} | {
    byte: chr(0x100 + number) for number, byte in enumerate(_OTHER)
}
