"""The assignment of a part to its nearest clusters."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans.assign import AssignPart, Nearest
from clustering.kmeans.bins import plan_bins
from clustering.kmeans.column import Keyed
from clustering.kmeans.model import Fitted, Search
from manifests.step import Part
from manifests.vectors.units import units_of


class OneVector(NamedTuple):
    vector: np.ndarray

    def read_part(self, part: Part) -> Keyed:
        keys = np.zeros(1, np.uint64)
        return Keyed(np.arange(1), self.vector, keys, pa.nulls(1, pa.uint64()))


def test_a_cosine_that_is_rounded_to_over_1_is_no_distance_below_0(tmp_path: Path) -> None:
    units = units_of(np.random.default_rng(0).standard_normal((20_000, 2))).vectors
    squares = np.square(units, dtype=np.float64).sum(axis=1).astype(np.float32)
    over = units[squares > 1][:1]
    search = Search.over(Fitted(over, np.ones(1, np.int64)), str(tmp_path / "centroids"))
    part = Part(0, "part", 1)
    AssignPart(OneVector(over), search, plan_bins(np.ones(1), 8))(part, str(tmp_path))
    assert Nearest.read(str(tmp_path), part).distance.tolist() == [0]
