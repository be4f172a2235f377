"""Records for the duplicate engine, as tables in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from filters.image.image_hash import COLOURS_TYPE
from manifests import record
from tests.filters.corpus_steps import MemoryCorpus

SOURCE = "made"
HASHES = pa.list_(pa.uint64())
MORE_COLUMNS = {
    "image_hash.hash": HASHES,
    "image_hash.mirror": HASHES,
    "image_hash.colours": pa.list_(COLOURS_TYPE),
    "embed.vector": pa.list_(pa.float32()),
    "embed.nearest": pa.list_(pa.int32()),
    "embed.cluster": pa.int32(),
    "score.value": pa.float64(),
}


def row(key: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    """A record as a Python dict.

    `hashes` and `digests` have one value for each of its images, `mirrors` the hashes of their
    mirror images (default: the same as `hashes`), `colours` their small colour images (default: all
    the same). `vector`, `nearest`, `cluster` and `score` are
    columns of earlier steps; any other column of a record may be given too.
    """
    content = [] if text is None else [{"kind": "text", "text": text}]
    hashes = more.pop("hashes", [])
    digests = more.pop("digests", [None] * len(hashes))
    made = {
        "key": key,
        "origin": key,
        "content": content,
        "media": [{"kind": "image", "uri": f"{key}.jpg", "digest": d} for d in digests],
        "image_hash.hash": hashes,
        "image_hash.mirror": more.pop("mirrors", hashes),
        "image_hash.colours": more.pop("colours", [None] * len(hashes)),
    }
    known = {"vector", "nearest", "cluster"}
    made |= {f"embed.{name}": more.pop(name) for name in known & set(more)}
    if "score" in more:
        made["score.value"] = more.pop("score")
    return made | more


def text_rows(texts: Mapping[str, str | None]) -> list[dict[str, Any]]:
    return [row(key, text) for key, text in texts.items()]


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Records with all of MORE_COLUMNS; the source is `source` of each row."""
    made = record.from_rows(list(rows), SOURCE, "caption")
    for name, kind in MORE_COLUMNS.items():
        made = made.append_column(name, pa.array([r.get(name) for r in rows], kind))
    source = pa.array([r.get("source", SOURCE) for r in rows])
    return made.set_column(made.schema.get_field_index("source"), "source", source)


def in_parts(rows: Sequence[dict[str, Any]], parts: int = 3) -> MemoryCorpus:
    """The rows as a corpus, distributed over parts in turn."""
    return MemoryCorpus(tuple(table(rows[number::parts]) for number in range(parts)))


def by_id(keys: Iterable[str]) -> list[str]:
    """Keys in the order of their records' ids."""
    return sorted(keys, key=lambda key: record.record_id(SOURCE, key))


def flip_bits(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def image_digest(number: int) -> str:
    """A digest as `media_digest` measures it, of the image with this number."""
    return hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest()


def random_hashes(seed: int, count: int) -> list[int]:
    """Hashes of images that do not look alike."""
    drawn = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    return [int(value) for value in drawn]
