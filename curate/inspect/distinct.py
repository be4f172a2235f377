"""Estimates how many different texts, images and word n-grams a set of records holds.

The estimator is HyperLogLog++ (Heule et al. 2013), compatible with datasketch: the standard error
is 1.04 / sqrt(2^p), and memory use is constant. The sketches of parts can be merged in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.record.images import image_rows

INDEX_BITS = 16
"""The precision p, set to the maximum of datasketch: 65,536 registers, a standard error of 0.41 %
(our choice)."""
STANDARD_ERROR = 1.04 / 2 ** (INDEX_BITS / 2)
NGRAM = 5
"""The default number of words in an n-gram (our choice)."""


class Sketch(NamedTuple):
    """The contents of a set of records, for estimating how many different texts, images and n-grams
    the records have: the number of records, and the HyperLogLog registers (uint8, (2^INDEX_BITS,))
    of their texts, images and n-grams."""

    records: int
    texts: np.ndarray
    images: np.ndarray
    ngrams: np.ndarray


class Counts(NamedTuple):
    """The number of records in a set, and estimates of how many different texts, images and n-grams
    the records have."""

    records: int
    texts: int
    images: int
    ngrams: int


def empty_sketch() -> Sketch:
    """Return the sketch of an empty set of records."""
    return Sketch(0, *(np.zeros(1 << INDEX_BITS, np.uint8) for _ in range(3)))


def sketch_of(table: pa.Table, n: int = NGRAM) -> Sketch:
    """Compute the sketch of records from their columns `content` and `media`.

    Texts that differ only in case and whitespace count as one text. An image is identified by the
    digest of its bytes if a step has computed the digest, otherwise by its uri and offset.
    """
    from manifests.kernels import distinct
    from manifests.kernels.shingles import text_hashes

    sketch = empty_sketch()._replace(records=table.num_rows)
    texts = record.texts(table["content"])
    hashes, present = text_hashes(texts)
    distinct.add(sketch.texts, hashes[present, 0])
    distinct.add(sketch.images, _image_hashes(image_rows(table["media"]).images))
    distinct.add_ngrams(sketch.ngrams, texts, n)
    return sketch


def merged(a: Sketch, b: Sketch) -> Sketch:
    """Return the sketch of all records that are in `a` or in `b`."""
    registers = (np.maximum(x, y) for x, y in zip(a[1:], b[1:], strict=True))
    return Sketch(a.records + b.records, *registers)


def counts(sketch: Sketch) -> Counts:
    return Counts(sketch.records, *(round(estimate(registers)) for registers in sketch[1:]))


def estimate(registers: np.ndarray) -> float:
    """Estimate how many different hashes were added to HyperLogLog registers. The library
    datasketch gives the same estimate for the same registers."""
    from datasketch import HyperLogLogPlusPlus

    return float(HyperLogLogPlusPlus(reg=registers.astype(np.int8)).count())


def _image_hashes(images: pa.Array) -> np.ndarray:
    from manifests.kernels.distinct import string_hashes

    digest, offset = pc.struct_field(images, "digest"), pc.struct_field(images, "offset")
    zeros = np.zeros(len(images), np.uint64)
    start = np.asarray(offset.fill_null(-1)).astype(np.uint64)  # null must differ from 0
    by_uri = string_hashes(pc.struct_field(images, "uri"), start)
    return np.where(np.asarray(digest.is_valid()), string_hashes(digest, zeros), by_uri)
