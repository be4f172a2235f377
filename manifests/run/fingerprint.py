"""What a thing is, apart from where it runs: never a host, a worker count or a time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import xxhash

from manifests import storage


def fingerprint(thing: Any) -> str:
    """16 hex digits of anything JSON can say; equal things in any key order are equal."""
    text = json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def file_digest(uri: str) -> str:
    """XXH3 (128 bit) of a file's bytes, as the manifests write it."""
    state = xxhash.xxh3_128()
    with storage.open_input(uri) as handle:
        while chunk := handle.read(1 << 22):
            state.update(chunk)
    return f"xxh128:{state.hexdigest()}"
