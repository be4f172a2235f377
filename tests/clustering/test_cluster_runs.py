"""Runs with `cluster`: interrupted, on Ray, and before the search for duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pytest

from clustering.kmeans import bins, sample
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from manifests.run.manifest import RunManifest
from manifests.step import Opened, Resources
from manifests.storage import parts
from tests.clustering.embeddings import mixture
from tests.make import write_texts
from tests.runs import file_bytes, run_steps, texts_kept, texts_read

T = TypeVar("T")
R = TypeVar("R")
EMBED: dict[str, Any] = {"tests.engine.pieces:Embed": {}}
CLUSTER: dict[str, Any] = {"of": "Embed.vector", "k": 12, "sample": 30, "rounds": 4}


class Interrupted(BaseException):
    """The end of a run that is interrupted."""


class Interrupting:
    """Runs tasks in this process, and ends the run before the task with this number."""

    name = "interrupting"
    workers = 1

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        for item, made in Inline().map(work, items):
            yield item, made
            self._count()

    def map_opened(
        self, work: Opened[T, R], items: Iterable[T], resources: Resources
    ) -> Iterator[tuple[T, R]]:
        for item, made in Inline().map_opened(work, items, resources):
            yield item, made
            self._count()

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted


def _vectors() -> list[list[float]]:
    vectors = mixture(300, 8, 20, spread=0.4).astype(np.float64)
    random = np.random.default_rng(1)
    vectors[200:] = vectors[:100] + 0.1 * random.standard_normal((100, 8))
    found: list[list[float]] = vectors.tolist()
    return found


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Texts with embeddings: near copies of some, around few directions."""
    vectors = _vectors()
    texts = [f"text {row}" for row in range(len(vectors))]
    write_texts(tmp_path / "data", texts, 5, vector=vectors)
    return tmp_path


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many shards of the sample, and many cluster files."""
    monkeypatch.setattr(sample, "SHARD_ROWS", 80)
    monkeypatch.setattr(bins, "BIN_BYTES", 2000)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("more", [{}, {"cells": 3}], ids=["flat", "cells"])
def test_interrupted_anywhere_it_resumes_to_the_same_bytes(base: Path, more: Any) -> None:
    step = {"cluster": {**CLUSTER, **more}}
    run_steps(base, "whole", EMBED, step)
    interrupted = 0
    while True:
        try:
            run_steps(base, "pieces", EMBED, step, executor=Interrupting(7 + interrupted))
            break
        except Interrupted:
            interrupted += 1
    assert interrupted > 5
    assert file_bytes(base / "pieces") == file_bytes(base / "whole")


@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_writes_the_same_files(ray: None, base: Path, workers: int) -> None:
    step = {"cluster": {"of": "Embed.vector", "levels": [12, 3], "rounds": 4}}
    run_steps(base, "inline", EMBED, step)
    run_steps(base, "ray", EMBED, step, executor=RayExecutor(workers))
    assert file_bytes(base / "ray") == file_bytes(base / "inline")


def test_every_similar_pair_with_a_cluster_in_common_is_a_duplicate(base: Path) -> None:
    search = {
        "by": "semantic", "embedding": "Embed.vector", "clusters": "cluster.nearest",
        "threshold": 0.97, "keep": "id",
    }  # fmt: skip
    made = run_steps(base, "out", EMBED, {"cluster": CLUSTER}, {"duplicates": search})
    texts = texts_read(base, "out")
    ids = [id_.as_py() for table in _tables(base, made, "read", "id") for id_ in table["id"]]
    rows = [int(texts[id_].split()[1]) for id_ in ids]
    units = np.array(_vectors(), np.float64)[rows]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    shared = np.zeros((len(units), 12), np.int64)
    tables = _tables(base, made, "corpus", "cluster.nearest")
    nearest = [pair.as_py() for table in tables for pair in table["cluster.nearest"]]
    shared[np.arange(len(units))[:, None], nearest] = 1
    assert (shared.sum(axis=1) == 2).all()
    similar = (units @ units.T >= 0.97) & (shared @ shared.T > 0)
    lowest = _lowest_of_components(similar, ids)
    assert 20 < len(lowest) < 280
    assert texts_kept(base, "out") == sorted(texts[id_] for id_ in lowest)


def _tables(base: Path, made: RunManifest, kind: str, column: str) -> list[pa.Table]:
    """The tables of all parts of the first pass of a kind."""
    entry = next(entry for entry in made.passes if entry.kind == kind)
    paths = sorted((base / "out" / entry.folder).glob("part-*.arrow"))
    return [parts.read_columns(str(p), (column,)) for p in paths if p.name.count(".") == 1]


def _lowest_of_components(similar: np.ndarray, ids: list[str]) -> set[str]:
    """The lowest id of each connected component of a graph."""
    lowest = np.argsort(np.argsort(ids))
    while True:
        spread = np.where(similar, lowest[None, :], len(ids)).min(axis=1)
        if np.array_equal(spread, lowest):
            return {ids[row] for row in np.unique(np.argsort(ids)[lowest])}
        lowest = spread
