"""Small inputs that tests make for themselves."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from curate.ingest.reader import Context, KeptBytes, ReadBatch, Reader, Split
from manifests import storage
from manifests.media import Limits, Media


def make_image(width: int = 64, height: int = 48, seed: int = 0, kind: str = "JPEG") -> bytes:
    """An image of smooth random colours, encoded."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def read_all(reader: Reader, base: str = "", limits: Limits | None = None) -> list[ReadBatch]:
    """Everything a reader finds in its source, split by split."""
    found: list[ReadBatch] = []
    for split in splits(reader, base):
        media = Media(base, limits=limits)
        found += list(reader.read(split, Context(base, media, KeptBytes("kept:test", None))))
    return found


def splits(reader: Reader, base: str = "") -> list[Split]:
    context = Context(base, Media(base), KeptBytes("kept:test", None))
    out: list[Split] = []
    for group in reader.grouped(reader.list_files(base)):
        out += [Split(tuple(group))] if len(group) > 1 else list(reader.splits(group[0], context))
    return out


def keeping(path: str, sink: storage.Sink) -> KeptBytes:
    return KeptBytes(f"kept:{path}", sink)
