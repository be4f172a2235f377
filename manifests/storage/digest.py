"""Digests of bytes and files, as manifests store them: `xxh128:` and 32 hex digits (XXH3)."""

from __future__ import annotations

import xxhash

from manifests.errors import ManifestError
from manifests.storage.file_entry import FileEntry
from manifests.storage.files import open_input, size_and_stamp, storage_errors
from manifests.storage.paths import is_remote, join

_CHUNK_BYTES = 1 << 18
"""Bytes of a local file that are in memory while its digest is computed. The chunk stays in the
cache of the processor between the read and the hash (our choice)."""
_REMOTE_CHUNK_BYTES = 1 << 22
"""The same for a file on object storage, where each chunk is a request (our choice)."""


def bytes_digest(data: bytes | memoryview) -> str:
    return f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"


def file_digest(uri: str) -> str:
    """Returns the digest of the content of a file. The file is read in chunks, to save memory."""
    state = xxhash.xxh3_128()
    with storage_errors(uri):
        if not is_remote(uri):
            buffer = bytearray(_CHUNK_BYTES)
            with open(uri, "rb", buffering=0) as handle:
                while count := handle.readinto(buffer):
                    state.update(memoryview(buffer)[:count])
            return f"xxh128:{state.hexdigest()}"
        with open_input(uri) as handle:
            while chunk := handle.read(_REMOTE_CHUNK_BYTES):
                state.update(chunk)
    return f"xxh128:{state.hexdigest()}"


MISSING = "the file is missing"


def stated_file(folder: str, entry: FileEntry) -> str:
    """Returns the path of the file that `entry`, an entry of a manifest, names in `folder`. Raises
    ManifestError if the size of the file is not the size in the entry. The digest of the file is
    not computed."""
    place = join(folder, entry.name)
    found = size_and_stamp(place)
    if found is None or found[0] != entry.size_bytes:
        actual = "the file does not exist" if found is None else f"the file has {found[0]} bytes"
        raise ManifestError(
            f"{actual}, but the manifest states {entry.size_bytes} bytes",
            place,
            "Run the recipe again, with the same output folder: it writes missing and changed "
            "files.",
        )
    return place


def fault_of(uri: str, entry: FileEntry) -> str | None:
    """Returns an error text if the size or the digest of the file at `uri` differs from `entry`,
    which a manifest has for this file: `"the file has 12 bytes, not 20"`. Returns None if nothing
    differs."""
    found = size_and_stamp(uri)
    if found is None:
        return MISSING
    if found[0] != entry.size_bytes:
        return f"the file has {found[0]} bytes, not {entry.size_bytes}"
    digest = file_digest(uri)
    return None if digest == entry.digest else f"the file has digest {digest}, not {entry.digest}"
