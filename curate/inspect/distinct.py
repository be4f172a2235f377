"""How many different texts, images and word n-grams records hold: estimates of bounded memory.

HyperLogLog++ (Heule et al. 2013) as datasketch has it: the standard error is 1.04 / sqrt(2^p).
Sketches of parts merge into that of the whole, in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.record.images import image_rows

INDEX_BITS = 16
"""p: 65,536 registers, the most that datasketch takes; a standard error of 0.41 % (ours)."""
STANDARD_ERROR = 1.04 / 2 ** (INDEX_BITS / 2)
NGRAM = 5
"""Words in an n-gram, where nothing else is said (ours)."""


class Distinct(NamedTuple):
    """Registers, uint8 [2^INDEX_BITS], of what was seen; `records` are counted."""

    records: int
    texts: np.ndarray
    images: np.ndarray
    ngrams: np.ndarray


class Counts(NamedTuple):
    """Records, and estimates of how many different texts, images and word n-grams they hold."""

    records: int
    texts: int
    images: int
    ngrams: int


def nothing() -> Distinct:
    """What was seen before anything was."""
    return Distinct(0, *(np.zeros(1 << INDEX_BITS, np.uint8) for _ in range(3)))


def distinct_of(table: pa.Table, n: int = NGRAM) -> Distinct:
    """What the columns `content` and `media` of records hold.

    Texts are the same but for capitals and whitespace. Images go by the digest of their bytes
    where a step has made one, else by the place where their bytes lie.
    """
    from manifests.kernels import distinct
    from manifests.kernels.shingles import text_hashes

    seen = nothing()._replace(records=table.num_rows)
    texts = record.texts(table["content"])
    hashes, present = text_hashes(texts)
    distinct.add(seen.texts, hashes[present, 0])
    distinct.add(seen.images, _image_hashes(image_rows(table["media"]).images))
    distinct.add_ngrams(seen.ngrams, texts, n)
    return seen


def merged(a: Distinct, b: Distinct) -> Distinct:
    """What was seen in either."""
    registers = (np.maximum(x, y) for x, y in zip(a[1:], b[1:], strict=True))
    return Distinct(a.records + b.records, *registers)


def counts(seen: Distinct) -> Counts:
    return Counts(seen.records, *(round(estimate(registers)) for registers in seen[1:]))


def estimate(registers: np.ndarray) -> float:
    """How many different hashes were entered, by datasketch."""
    from datasketch import HyperLogLogPlusPlus

    return float(HyperLogLogPlusPlus(reg=registers.astype(np.int8)).count())


def _image_hashes(images: pa.Array) -> np.ndarray:
    from manifests.kernels.distinct import string_hashes

    digest, offset = pc.struct_field(images, "digest"), pc.struct_field(images, "offset")
    nowhere = np.zeros(len(images), np.uint64)
    start = np.asarray(offset.fill_null(-1)).astype(np.uint64)  # none differs from 0
    by_place = string_hashes(pc.struct_field(images, "uri"), start)
    return np.where(np.asarray(digest.is_valid()), string_hashes(digest, nowhere), by_place)
