"""Whole runs with weights of every kind: the same bytes inline and on Ray, and in the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from tests.make import WORDS, write_captions, write_json_lines
from tests.runs import caption_recipe, file_bytes, read_run, row_counts, run_engine

ROOT = Path(__file__).parents[2]
TABLE = {"table": "entities.csv", "category": "category", "prominence": "prominence"}
STEPS: list[dict[str, Any]] = [
    {"words": {"min": 3}},
    {"entities": TABLE},
    {"dsir": {"target": "target.jsonl", "text": "caption", "buckets": 500}},
    {"power": {"of": "words.count", "exponent": -0.5}},
    {"metaclip": {"t": 30}},
    {"sample": {"probability": "metaclip.probability"}},
    {"head": {"records": 100}},
    {"sample": {"share": 0.9, "weight": "head.probability", "by": "source"}},
    {"sample": {"records": 100, "log_weight": "dsir.log_weight"}},
    {"sample": {"tokens": 300, "token_column": "words.count", "weight": "power.weight"}},
]
COLUMNS = ["words.count", "entities.ids", "entities.prominences", "sample-4.probability"]


def recipe() -> dict[str, Any]:
    shards = {"formats": ["arrow", "jsonl", "webdataset"], "columns": COLUMNS}
    return caption_recipe(steps=STEPS, shards=shards)


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("sampling")
    write_captions(base / "data", files=5, rows=40)
    rows = [f"{word},{'colour' if n < 3 else 'other'},{n * n}" for n, word in enumerate(WORDS)]
    (base / "entities.csv").write_text(
        "\n".join(["name,category,prominence", *rows, "old house,,"])
    )
    write_json_lines(base / "target.jsonl", [{"caption": "a small round house by the river"}])
    run_engine(recipe(), base, base / "inline", Inline())
    return base


def test_every_sample_of_a_run_has_its_size(inline: Path) -> None:
    counts = row_counts(run_engine(recipe(), inline, inline / "inline"))
    first, second, third, last = (
        counts[name] for name in ("sample", "sample-2", "sample-3", "sample-4")
    )
    assert 100 < first[1] < first[0]
    assert second[1] == round(0.9 * second[0])
    assert third[1] == 100
    kept = read_run(inline / "inline").rows
    assert len(kept) == last[1]
    assert 290 < sum(row["words.count"] for row in kept) <= 300
    assert all(0 < row["sample-4.probability"] < 1 and row["entities.ids"] for row in kept)


@pytest.mark.parametrize("workers", [1, 3])
def test_ray_draws_the_same_samples(ray: None, inline: Path, workers: int) -> None:
    out = inline / f"workers-{workers}"
    run_engine(recipe(), inline, out, RayExecutor(workers))
    assert file_bytes(out) == file_bytes(inline / "inline")


def test_the_example_table_has_more_than_a_dozen_categories(tmp_path: Path) -> None:
    from filters.text.entities import Entities
    from manifests.step import Worker

    fields = {"id": "id", "aliases": "aliases", "category": "category", "prominence": "prominence"}
    step = Entities(table=str(ROOT / "recipes/entities.csv"), **fields)
    finder = step.load(Worker(str(tmp_path)))
    assert len(set(finder.table["category"].to_pylist())) >= 12
