"""A probe measures a sample as a run would, drops nothing, and reports what it cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate import recipe
from curate.engine.probe import Probed, probe
from tests.make import write_captions
from tests.runs import caption_recipe


def probed(base: Path, content: dict[str, Any], rows: int = 1000) -> Probed:
    return probe(recipe.build(content, base=str(base)), rows)


def test_each_step_measures_all_rows_whatever_the_steps_before_it_drop(tmp_path: Path) -> None:
    write_captions(tmp_path / "data")
    steps = [{"words": {"min": 99}}, {"characters": {"min": 1}}, {"sample": {"rows": 5}}]
    found = probed(tmp_path, caption_recipe(steps=steps))
    counts = [(a.step, a.rows_in, a.kept, a.dropped) for a in found.accounts]
    assert counts == [
        ("words", 120, 0, {"too few words": 120}),
        ("characters", 120, 120, {}),
    ]
    assert found.skipped == ["sample"]
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
