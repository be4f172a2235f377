"""Corpora of made-up embeddings for the tests of clusters."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa

from tests.filters.corpus_steps import MemoryCorpus

VECTOR = "embed.vector"


def mixture(rows: int, width: int, modes: int, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    """Vectors around `modes` random directions, float16; row i belongs to mode i % modes."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((modes, width))
    noise = spread * random.standard_normal((rows, width))
    return (centres[np.arange(rows) % modes] + noise).astype(np.float16)


def embedded(vectors: np.ndarray, missing: tuple[int, ...] = ()) -> pa.Table:
    """Records with ids and embeddings; the rows `missing` have none."""
    mask = np.zeros(len(vectors), bool)
    mask[list(missing)] = True
    ids = [hashlib.md5(str(row).encode()).hexdigest() for row in range(len(vectors))]
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=pa.array(mask))
    return pa.table({"id": pa.array(ids, pa.string()), VECTOR: lists})


def in_parts(table: pa.Table, *cuts: int) -> MemoryCorpus:
    """The rows of a table in parts that begin at row 0 and at each cut."""
    ends = [0, *cuts, table.num_rows]
    pairs = pairwise(ends)
    return MemoryCorpus(tuple(table.slice(start, end - start) for start, end in pairs))
