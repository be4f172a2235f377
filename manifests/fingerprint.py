"""What a thing is, apart from where it runs: never a host, a worker count or a time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import xxhash

from manifests import storage
from manifests.step import Step


def fingerprint(thing: Any) -> str:
    """16 hex digits of anything JSON can say; equal things in any key order are equal."""
    text = json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def step_identity(name: str, step: Step, base: str, only: dict[str, Any] | None) -> dict[str, Any]:
    """What decides a step's answers: its kind, version, parameters and the files it names."""
    kind = type(step)
    return {
        "name": name,
        "kind": f"{kind.__module__}:{kind.__qualname__}",
        "version": kind.version,
        "parameters": step.model_dump(mode="json"),
        "only": only,
        "files": [file_digest(storage.at(base, uri)) for uri in step.files()],
    }


def file_digest(uri: str) -> str:
    """XXH3 (128 bit) of a file's bytes, as the manifests write it."""
    state = xxhash.xxh3_128()
    with storage.open_input(uri) as handle:
        while chunk := handle.read(1 << 22):
            state.update(chunk)
    return f"xxh128:{state.hexdigest()}"
