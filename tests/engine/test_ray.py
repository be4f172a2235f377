"""On Ray, any number of workers makes the same bytes as one process."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from curate.emit.read import read_shards as plain_shards
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor, read_shards
from manifests.errors import StepError, WorkerError
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, row_counts, run_engine

STEPS = [
    {"words": {"min": 5}},
    {"tests.engine.pieces:Longest": {}},
    {"sample": {"share": 0.5}},
    {"characters": {"min": 3}},
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ray")
    write_captions(base / "data", files=9, rows=30)
    run_engine(_what(), base, base / "inline", Inline())
    return base


def _what() -> dict[str, object]:
    return caption_recipe(steps=STEPS, shards={"formats": ["arrow", "jsonl", "webdataset"]})


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_makes_the_same_bytes(ray: None, corpus: Path, workers: int) -> None:
    out = corpus / f"workers-{workers}"
    made = run_engine(_what(), corpus, out, RayExecutor(workers))
    assert file_bytes(out) == file_bytes(corpus / "inline")
    assert made.digest == run_engine(_what(), corpus, corpus / "inline").digest


def test_ray_data_reads_the_shards_as_they_are(ray: None, corpus: Path) -> None:
    shards = corpus / "inline" / "shards"
    (shards / "cache-0123.arrow").write_bytes(b"a stray file that datasets left here")
    rows = read_shards(str(shards)).take_all()
    (shards / "cache-0123.arrow").unlink()
    expected = pa.concat_tables(plain_shards(str(shards))).to_pylist()
    assert sorted(r["id"] for r in rows) == sorted(r["id"] for r in expected)
    assert {r["id"]: r["images"][0]["bytes"] for r in rows} == {
        r["id"]: r["images"][0]["bytes"] for r in expected
    }


def test_a_worker_that_dies_once_loses_no_record(ray: None, corpus: Path) -> None:
    marker = corpus / "crash-now"
    marker.write_text("")
    what = caption_recipe(
        steps=[{"words": {}}, {"tests.engine.pieces:Crash": {"marker": str(marker)}}]
    )
    made = run_engine(what, corpus, corpus / "crashed", RayExecutor(2))
    assert not marker.exists()
    assert row_counts(made)["Crash"] == (270, 270, {}, {})


def test_an_error_of_a_step_reaches_the_driver_unchanged(ray: None, corpus: Path) -> None:
    what = caption_recipe(steps=[{"tests.engine.pieces:Misaligned": {}}])
    with pytest.raises(StepError, match="29 values for 30 rows in 'count'"):
        run_engine(what, corpus, corpus / "misaligned", RayExecutor(2))


def test_a_worker_that_always_dies_fails_the_run_and_names_the_part(
    ray: None, corpus: Path
) -> None:
    what = caption_recipe(steps=[{"tests.engine.pieces:Dies": {}}])
    with pytest.raises(WorkerError, match="died 6 times"):
        run_engine(what, corpus, corpus / "dies", RayExecutor(1))
