"""Records are repeated as often as they should be, and each of them is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from curate.sampling.repeat import Repeat
from manifests.record import child_ids
from tests.filters.rows import step_context, text_records
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, read_run, row_counts, run_engine


def repeated(step: Repeat, *numbers: float | None, rows: int = 0) -> Any:
    batch = text_records(*["a"] * (rows or len(numbers)))
    if numbers:
        batch = batch.append_column("w", pa.array(numbers, pa.float64()))
    with step_context(step, seed=7) as context:
        return step.reshape(batch, context)


def test_the_first_record_keeps_its_id_and_copies_have_new_ones() -> None:
    batch = text_records("a", "b")
    made = repeated(Repeat(times=3), rows=2)
    keys = batch["id"].to_pylist()
    ids = [[key, *child_ids([key] * 2, [1, 2]).to_pylist()] for key in keys]
    assert made.rows["id"].to_pylist() == [*ids[0], *ids[1]]
    assert made.measures["of"].to_pylist() == [keys[0]] * 3 + [keys[1]] * 3
    assert made.measures["copy"].to_pylist() == [0, 1, 2] * 2
    assert made.rows.num_rows == len(set(made.rows["id"].to_pylist()))


def test_a_column_has_the_number_of_each_record() -> None:
    numbers = [2.0, 0.0, None, float("nan"), -1.0, float("inf"), 500.0]
    made = repeated(Repeat(times="w", max=4), *numbers)
    assert np.bincount(made.parents, minlength=7).tolist() == [2, 0, 1, 1, 0, 0, 4]
    assert made.drop.to_pylist() == [None, "0 times", None, None, None, None, None]
    messages = made.errors.table["message"].to_pylist()
    assert [n for n, text in enumerate(messages) if text] == [4, 5]
    assert messages[4] == "the number 'w' is -1.0. It must be finite, and not negative."


def test_a_fraction_is_the_probability_of_one_record_more() -> None:
    made = repeated(Repeat(times=2.3), rows=20_000)
    counts = np.bincount(made.parents)
    assert set(counts) == {2, 3}
    assert (counts == 3).mean() == pytest.approx(0.3, abs=0.015)
    assert (np.bincount(repeated(Repeat(times=2.6), rows=20_000).parents) >= counts).all()


def test_more_times_than_the_maximum_are_refused() -> None:
    with pytest.raises(ValueError, match="times 200 is over max 100: raise max"):
        Repeat(times=200)
    assert Repeat(times=200, max=200).times == 200


def recipe() -> dict[str, Any]:
    steps = [
        {"words": {"min": 1}},
        {"outliers": {"of": "words.count", "share": 0.1, "by": "source"}},
        {"representatives": {"count": 60, "by": "source", "order": "words.count"}},
        {"repeat": {"times": 1.5, "only": {"words.count": [4, 9]}}},
    ]
    return caption_recipe(steps=steps, shards={"columns": ["words.count", "repeat.copy"]})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("repeat")
    write_captions(base / "data", files=3, rows=30)
    return base


def test_only_the_chosen_records_of_a_run_are_repeated(base: Path) -> None:
    manifest = run_engine(recipe(), base, base / "out", Inline())
    rows = read_run(base / "out").rows
    counts = row_counts(manifest)
    outliers, before = counts["outliers"], counts["representatives"][1]
    assert outliers[1] == outliers[0] - round(0.1 * outliers[0])
    assert before == 60
    copies = [row for row in rows if row["repeat.copy"]]
    assert len(rows) == before + len(copies) > before
    assert {row["words.count"] for row in copies} <= {4, 9}
    assert len({row["id"] for row in rows}) == len(rows)


def test_ray_repeats_the_same_records(ray: None, base: Path) -> None:
    run_engine(recipe(), base, base / "inline", Inline())
    run_engine(recipe(), base, base / "ray", RayExecutor(2))
    assert file_bytes(base / "ray") == file_bytes(base / "inline")
