"""The step `near`: what is near an example, by the model that embedded the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clustering.embed.embed import Embed
from clustering.near import Near
from curate import cli
from curate import recipe as recipes
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from manifests.errors import InputError, RecipeError, StepError
from manifests.media import Media
from tests.filters.rows import answers, media_records, text_records
from tests.make import make_image, write_captions, write_texts
from tests.runs import (
    caption_recipe,
    curate,
    file_bytes,
    read_run,
    run_engine,
    text_recipe,
    write_recipe,
)

TEXTS = ["a red bus in the street", "two cats sleep on a sofa", "shares fell on Monday", ""]


def embedded(step: Embed, batch: pa.Table, base: Path) -> pa.Table:
    side = step.images()
    found = answers(step, batch, Media(str(base), side=side.min_side if side else None))["vector"]
    return batch.append_column("embed.vector", pa.array(found, step.measures()["vector"]))


def near(base: Path, maker: Embed, batch: pa.Table, **settings: Any) -> dict[str, Any]:
    step = Near.model_validate(settings).with_maker(maker)
    return answers(step, embedded(maker, batch, base), Media(str(base)))


def write_examples(base: Path, kind: str) -> dict[str, Any]:
    """Two example texts in a file of one kind; returns the settings that name it."""
    rows = [{"q": "stock prices dropped", "n": "money"}, {"q": TEXTS[1], "n": "cats"}]
    path = base / f"examples.{kind}"
    if kind == "txt":
        path.write_text("stock prices dropped\n\n" + TEXTS[1] + "\n")
        return {"examples": path.name}
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        path.write_text("q,n\n" + "".join(f"{row['q']},{row['n']}\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return {"examples": path.name, "text": "q", "id": "n"}


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("action", ["drop", "keep"])
def test_texts_near_an_example_are_dropped_or_kept(tmp_path: Path, kind: str, action: str) -> None:
    settings = write_examples(tmp_path, kind)
    found = near(tmp_path, Embed(on="text"), text_records(*TEXTS), action=action, **settings)
    names = ("examples.txt#1", "examples.txt#3") if kind == "txt" else ("money", "cats")
    assert found["example"][1:] == [names[1], names[0], None]
    assert found["cosine"][1] == 1
    assert found["cosine"][0] < 0.5
    near_one = "near an example"
    if action == "drop":
        assert found["drop"] == [None, near_one, None, None]
    else:
        far = "not near an example"
        assert found["drop"] == [far, None, far, "no vector"]


def test_images_near_those_of_a_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(make_image(200, 150, number))
    Image.open(tmp_path / "1.jpg").resize((180, 135)).save(tmp_path / "bad" / "logo.png")
    Image.open(tmp_path / "2.jpg").save(tmp_path / "bad" / "x.webp")
    uris = [[{"kind": "image", "uri": f"{n}.jpg"}] for n in range(3)]
    found = near(tmp_path, Embed(), media_records(*uris, []), examples="bad", min=0.95)
    assert found["example"][1:] == ["logo.png", "x.webp", None]
    assert found["drop"] == [None, "near an example", "near an example", None]


def test_a_cosine_of_exactly_the_bound_is_near() -> None:
    measured = pa.table({"cosine": pa.array([0.8999, 0.9, None], pa.float32())})
    drop, keep = (Near(examples="x", min=0.9, action=action) for action in ("drop", "keep"))
    assert drop.decide(measured).to_pylist() == [None, "near an example", None]
    assert keep.decide(measured).to_pylist() == ["not near an example", None, "no vector"]


def test_vectors_of_a_table_are_used_as_they_are(tmp_path: Path) -> None:
    rows = [{"v": [1, 0], "n": "a"}, {"v": [0, 3], "n": "b"}]
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    step = Near(examples="v.jsonl", embedding="v", id="n", of="x.vector")
    vectors = pa.array([[0, 1], [1, 1], None, [0, 0]], pa.list_(pa.float16(), 2))
    batch = text_records("a", "b", "c", "d").append_column("x.vector", vectors)
    found = answers(step, batch, Media(str(tmp_path)))
    assert found["example"] == ["b", "a", None, None]  # the first of equally near ones
    assert found["cosine"] == [1, pytest.approx(0.5**0.5), None, None]
    wide = batch.set_column(
        batch.num_columns - 1, "x.vector", pa.array([[0, 0, 1]] * 4, pa.list_(pa.float32()))
    )
    with pytest.raises(StepError, match="examples have 2 values, and those of the records 3"):
        answers(step, wide, Media(str(tmp_path)))
    (tmp_path / "v.jsonl").write_text('{"v": [1, 0]}\n{"v": [1]}\n')
    with pytest.raises(InputError, match=r"v.jsonl#2: examples: this item has a vector of another"):
        answers(step.model_copy(update={"id": None}), batch, Media(str(tmp_path)))


def test_examples_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    settings = write_examples(tmp_path, "txt")
    batch = media_records([])
    with pytest.raises(InputError, match=r"'embed.vector' embeds images, and no item has one"):
        near(tmp_path, Embed(), batch, **settings)


def test_any_batch_gives_the_same_measures(tmp_path: Path) -> None:
    settings = write_examples(tmp_path, "txt")
    words = np.random.default_rng(0).choice(["red", "cats", "sofa", "bus", "shares"], (60, 5))
    batch = text_records(*map(" ".join, words))
    whole = near(tmp_path, Embed(on="text"), batch, **settings)
    parts = [near(tmp_path, Embed(on="text"), batch.slice(n, 7), **settings)
             for n in range(0, 60, 7)]  # fmt: skip
    for name, values in whole.items():
        assert [one for part in parts for one in part[name]] == values


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    write_texts(tmp_path / "data", TEXTS[:3] * 5, files=3)
    (tmp_path / "bad.txt").write_text("stock prices dropped\n")
    return tmp_path


def test_the_bound_of_a_run_measures_nothing_again(texts: Path) -> None:
    def run(**settings: Any) -> tuple[int, dict[str, int]]:
        steps = ({"embed": {"on": "text"}}, {"near": {"examples": "bad.txt", **settings}})
        run_engine(text_recipe(*steps), texts, texts / "out", Inline())
        measured = (texts / "out" / "steps").glob("*near-measure*/*.arrow")
        times = {path.name: path.stat().st_mtime_ns for path in measured}
        return len(read_run(texts / "out").rows), times

    kept, times = run(min=0.9)
    assert kept == 15
    assert times
    assert run(min=0.4) == (10, times)
    assert run(min=0.4, action="keep") == (5, times)


def test_ray_finds_the_same_records(ray: None, texts: Path) -> None:
    steps = ({"embed": {"on": "text"}}, {"near": {"examples": "bad.txt", "min": 0.4}})
    for out, executor in (("inline", Inline()), ("ray", RayExecutor(2))):
        run_engine(text_recipe(*steps), texts, texts / out, executor)
    assert file_bytes(texts / "ray") == file_bytes(texts / "inline")


def test_an_example_that_cannot_be_read_stops_the_run_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_captions(tmp_path / "data", files=1, rows=3)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "good.jpg").write_bytes(make_image(200, 150))
    (tmp_path / "bad" / "broken.jpg").write_bytes(make_image(200, 150)[:500])
    recipe = caption_recipe(steps=[{"embed": {}}, {"near": {"examples": "bad"}}])
    source = recipe.pop("sources")[0]
    recipe.pop("name")
    write_recipe(tmp_path, source, **recipe)
    code = curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline")
    assert code != cli.OK
    assert "bad/broken.jpg: an image of this item cannot be read" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("steps/*"))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"near": {"examples": "x", "of": "id"}}], "no step makes the column 'id'"),
        ([{"embed_endpoint": {"model": "m", "endpoint": "http://h/v1", "width": 8}},
          {"near": {"examples": "x", "of": "embed_endpoint.vector"}}],
         "makes the column 'embed_endpoint.vector', and this step can embed only records"),
        ([{"near": {"examples": "x"}}], "there is no column 'embed.vector'"),
        ([{"sample": {"share": 1}}, {"near": {"examples": "x", "of": "sample.rank"}}],
         "the step 'sample' makes the column 'sample.rank', and this step can embed only records"),
    ],
)  # fmt: skip
def test_a_column_without_an_embedder_is_refused(steps: list[Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.build(text_recipe(*steps))
