"""The step `alignment`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from clustering.alignment import Alignment
from curate.recipe.presets.loader import load_presets
from manifests.errors import StepError
from manifests.step import Columns
from tests.clustering.embed.test_embed import own_model
from tests.clustering.embed.text_models import settings
from tests.filters.rows import measured
from tests.make import write_captions
from tests.runs import caption_recipe, order_pass, part_tables, run_engine

NAMES = ("embed.vector", "embed-2.vector")


def column(*vectors: list[float] | None) -> pa.Array:
    width = max(len(vector) for vector in vectors if vector is not None)
    return pa.array(vectors, pa.list_(pa.float16(), width))


def measure(image: pa.Array, text: pa.Array, **bounds: float) -> Columns:
    table = pa.table({NAMES[0]: image, NAMES[1]: text})
    columns, _ = measured(Alignment(**bounds), table)
    return columns


def test_the_cosine_is_that_of_the_two_vectors_and_null_without_one() -> None:
    image = column([1, 0], [2, 2], [1, 1], None, [0, 0])
    text = column([0, 3], [1, 1], None, [1, 1], [1, 1])
    [cosine] = measure(image, text).values()
    assert cosine.to_pylist() == [0, 1, None, None, None]


def test_records_under_the_minimum_are_dropped_and_those_without_a_cosine_kept() -> None:
    step = Alignment(min=0.3)
    cosines = pa.table({"cosine": pa.array([0.2999, 0.3, 0.9, None], pa.float32())})
    drop = step.decide(cosines)
    assert drop is not None
    assert drop.to_pylist() == ["image and text do not agree", None, None, None]
    assert Alignment().decide(cosines) is None


def test_the_cosine_does_not_depend_on_the_batch() -> None:
    random = np.random.default_rng(3)
    image, text = (column(*random.standard_normal((50, 33)).tolist()) for _ in range(2))
    [whole] = measure(image, text).values()
    single = [next(iter(measure(image[n : n + 1], text[n : n + 1]).values())) for n in range(50)]
    assert whole.to_pylist() == [one[0].as_py() for one in single]


def test_vectors_of_different_models_are_refused() -> None:
    with pytest.raises(StepError, match="have 3 numbers, those of texts 2: they are not of one"):
        measure(column([1, 2, 3]), column([1, 2]))
    with pytest.raises(ValueError, match=r"are both 'embed.vector': name two columns"):
        Alignment(text="embed.vector")


@pytest.mark.parametrize(
    ("name", "least"), [("laion_400m", 0.3), ("laion_5b_english", 0.28), ("laion_5b_other", 0.26)]
)
def test_presets_have_the_published_thresholds(name: str, least: float) -> None:
    [step] = load_presets()[name].settings
    assert step["alignment"]["min"].value == least


def test_a_run_aligns_the_vectors_of_two_models(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1, rows=4)
    text = {**settings(tmp_path, pooled=True), "width": 4}
    image = own_model(tmp_path)
    steps = [{"embed": image}, {"embed": text}, "alignment"]
    with pytest.raises(StepError, match="3 numbers, those of texts 4"):
        run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    steps = [{"embed": text}, {"embed": {**text, "prefix": "a "}}, {"alignment": {"min": -1}}]
    made = run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    table = next(part_tables(tmp_path / "out", order_pass(made)))
    assert table["alignment.cosine"].null_count == 0
