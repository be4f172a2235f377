"""A probe measures a sample as a run would, drops nothing, and reports what it cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import recipe
from curate.engine.probe import Probed, _bins, probe
from manifests.step import Columns, Context, RowStep
from tests.make import write_captions, write_texts
from tests.runs import caption_recipe, text_recipe


def probed(base: Path, content: dict[str, Any], rows: int = 1000) -> Probed:
    return probe(recipe.build(content, base=str(base)), rows)


def test_each_step_measures_all_rows_whatever_the_steps_before_it_drop(tmp_path: Path) -> None:
    write_captions(tmp_path / "data")
    steps = [{"words": {"min": 99}}, {"characters": {"min": 1}}, {"sample": {"records": 5}}]
    found = probed(tmp_path, caption_recipe(steps=steps))
    counts = [(a.step, a.rows_in, a.kept, a.dropped) for a in found.accounts]
    assert counts == [
        ("words", 120, 0, {"too few words": 120}),
        ("characters", 120, 120, {}),
    ]
    assert found.skipped == {"sample": "needs the whole corpus"}
    assert [m.name for m in found.measures] == ["words.count", "characters.count"]


def test_batches_of_images_and_of_texts_give_the_same_measures(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1, rows=300)
    alone = probed(tmp_path, caption_recipe(steps=[{"words": {}}]))
    beside = probed(tmp_path, caption_recipe(steps=[{"words": {}}, {"image_decodes": {}}]))
    assert alone.measures[0] == beside.measures[0]
    assert alone.accounts[0] == beside.accounts[0]


def test_a_broken_file_is_reported_and_the_others_are_measured(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1)
    for name in ("a", "b"):
        pq.write_table(pa.table({"caption": ["one two"] * 5}), tmp_path / f"{name}.parquet")
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    source = {"name": "made", "reader": "table", "path": "*.parquet", "text": "caption"}
    found = probed(tmp_path, caption_recipe(sources=[source], steps=[{"words": {}}]))
    assert found.rows == 5
    (failure,) = found.quarantined
    assert (failure["origin"], failure["error"]) == ("b.parquet", "FileError")


def test_steps_that_a_sample_cannot_show_are_skipped_with_the_reason(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1)
    steps = [
        {"tests.engine.contract_steps:Halves": {}}, {"tests.engine.pieces:Longest": {}},
        {"words": {"only": {"Halves.half": 1}}}, {"characters": {"only": {"words.count": 3}}},
        {"tests.engine.test_probe:Reads": {}}, {"words": {}},
    ]  # fmt: skip
    found = probed(tmp_path, caption_recipe(steps=steps))
    assert found.skipped == {
        "Halves": "makes new records, so the steps after it were measured on the original records",
        "Longest": "needs the whole corpus",
        "words": "needs Halves.half, a measure of the skipped step Halves",
        "characters": "needs words.count, a measure of the skipped step words",
        "Reads": "needs Longest.longest, a measure of the skipped step Longest",
    }
    assert [account.step for account in found.accounts] == ["words-2"]


class Reads(RowStep):
    """Read a measure of a corpus step."""

    def reads(self) -> tuple[str, ...]:
        return ("content", "Longest.longest")

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {}


class Nested(RowStep):
    """Measure values of types that have no order."""

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "vector": pa.list_(pa.float32(), 2),
            "large": pa.large_list(pa.int8()),
            "pair": pa.struct({"a": pa.int8()}),
        }

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        rows = batch.num_rows
        kinds = self.measures()
        return {
            "vector": pa.array([[1.0, 2.0]] * rows, kinds["vector"]),
            "large": pa.array([[1]] * rows, kinds["large"]),
            "pair": pa.array([{"a": 1}] * rows, kinds["pair"]),
        }


def test_lists_are_counted_by_length_and_other_nested_values_by_their_text(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1)
    found = probed(tmp_path, caption_recipe(steps=[{"tests.engine.test_probe:Nested": {}}]))
    counts = {measure.name: measure.counts for measure in found.measures}
    assert counts == {
        "Nested.vector": {"2 .. 3": 40}, "Nested.large": {"1 .. 2": 40},
        "Nested.pair": {"{'a': 1}": 40},
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "too_slow"), [(0, {}), (0.1, {"TimeLimitError": 1})])
def test_the_time_of_a_record_is_limited_as_in_a_run(
    tmp_path: Path, seconds: float, too_slow: dict[str, int]
) -> None:
    write_texts(tmp_path / "data", ["a text", "poison"], 1)
    slow = {"tests.engine.hanging:Hangs": {"how": "slow"}}
    found = probed(tmp_path, text_recipe(slow) | {"max_cpu_seconds": seconds})
    assert [account.quarantined for account in found.accounts] == [too_slow]


def test_numbers_over_the_99th_percentile_have_a_bin_of_their_own() -> None:
    fractions, whole = np.append(np.linspace(0, 0.12, 1000), 0.9), np.append(np.arange(1000), 5000)
    assert [*_bins(fractions).items()][-1] == ("0.1189 .. 0.9", 10)
    assert [*_bins(whole).items()][-1] == ("996 .. 5000", 4)
    assert sum(_bins(whole).values()) == 1001
