"""Digests of bytes and files, as manifests store them: `xxh128:` and 32 hex digits (XXH3)."""

from __future__ import annotations

import xxhash

from manifests.storage.files import open_input


def bytes_digest(data: bytes | memoryview) -> str:
    return f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"


def file_digest(uri: str) -> str:
    """Returns the digest of the content of a file, which is read in chunks."""
    state = xxhash.xxh3_128()
    with open_input(uri) as handle:
        while chunk := handle.read(1 << 22):
            state.update(chunk)
    return f"xxh128:{state.hexdigest()}"
