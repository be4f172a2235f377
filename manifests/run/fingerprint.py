"""Digests of JSON values and of bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import xxhash

from manifests import storage


def fingerprint(value: Any) -> str:
    """16 hex digits: the hash of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def bytes_digest(data: bytes | memoryview) -> str:
    """XXH3 (128 bit) as manifests store it: `xxh128:` and 32 hex digits."""
    return f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"


def file_digest(uri: str) -> str:
    """`bytes_digest` of the bytes of a file, read in chunks."""
    state = xxhash.xxh3_128()
    with storage.open_input(uri) as handle:
        while chunk := handle.read(1 << 22):
            state.update(chunk)
    return f"xxh128:{state.hexdigest()}"
