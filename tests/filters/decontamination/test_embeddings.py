"""Items of benchmarks are found by the cosine of embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from clustering.embed.embed import Embed
from manifests.errors import InputError, StepError
from manifests.media import Media
from manifests.vectors import nearest
from tests.filters.decontamination.benchmarks import QUESTIONS, STAYS, embedded, jsonl, step
from tests.filters.rows import answers, media_records, text_records
from tests.make import make_image, write_texts
from tests.runs import row_counts, run_engine, text_recipe


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("fixed", "tile"), [(True, 1), (False, 4096)])
def test_items_with_a_similar_embedding_are_found(
    tmp_path: Path, fixed: bool, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "TILE", tile)
    jsonl(tmp_path / "b.jsonl", {"v": [1, 0, 0]}, {"v": [0, 2, 0]}, {"v": [0, 5, 0]})
    step_ = step({"name": "b", "path": "b.jsonl", "embedding": "v"}, embedding="embed.vector")
    batch = embedded([0, 3, 0.1], None, [1, 1, 0], [0, 0, 0], [9, 0, 0], fixed=fixed)
    found = answers(step_, batch, Media(str(tmp_path)))
    assert found["item"] == ["b.jsonl#2", None, None, None, "b.jsonl#1"]
    assert found["drop"] == ["benchmark embedding", STAYS, STAYS, STAYS, "benchmark embedding"]
    assert found["similarity"] == [pytest.approx(0.99944, abs=1e-4), None, None, None, 1]
    loose = step_.model_copy(update={"threshold": 0.7})
    assert answers(loose, batch, Media(str(tmp_path)))["item"][2] == "b.jsonl#1"


def test_the_threshold_1_finds_every_equal_embedding_of_any_length(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    vectors = (drawn.normal(size=(60, 33)) * drawn.uniform(1e-3, 1e3, (60, 1))).astype(np.float32)
    jsonl(tmp_path / "b.jsonl", *({"v": vector.tolist()} for vector in vectors))
    benchmark = {"name": "b", "path": "b.jsonl", "embedding": "v"}
    step_ = step(benchmark, embedding="embed.vector", threshold=1)
    found = answers(step_, embedded(*(vectors * np.float32(4)).tolist()), Media(str(tmp_path)))
    assert found["drop"] == ["benchmark embedding"] * 60
    assert found["similarity"] == [1] * 60


def test_embeddings_of_other_dimensions_are_errors(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"v": [1, 0]})
    step_ = step({"name": "b", "path": "b.jsonl", "embedding": "v"}, embedding="embed.vector")
    with pytest.raises(
        StepError, match="have 3 dimensions, but the embeddings of benchmarks have 2"
    ):
        answers(step_, embedded([1, 0, 0]), Media(str(tmp_path)))
    jsonl(tmp_path / "b.jsonl", {"v": [1, 0]}, {"v": [1, 0, 0]})
    with pytest.raises(
        InputError,
        match=r"b.jsonl#2: the embedding of this item has 3 dimensions, but the embedding of",
    ):
        answers(step_, embedded([1, 0]), Media(str(tmp_path)))


def test_a_field_of_embeddings_that_is_always_null_is_an_error(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"q": QUESTIONS[0], "v": None}, {"q": QUESTIONS[1], "v": None})
    benchmark = {"name": "b", "path": "b.jsonl", "text": "q", "embedding": "v"}
    step_ = step(benchmark, embedding="embed.vector")
    with pytest.raises(InputError, match=r"'b': no item has an embedding in the field 'v'\. Corr"):
        answers(step_, embedded([1, 0]), Media(str(tmp_path)))


PARAPHRASE = (
    "Each morning Mara bakes 14 loaves; before noon she sells all but three at the market. After "
    "one week, how many loaves were sold?"
)


def answered(base: Path, maker: Embed, batch: pa.Table, *benchmarks: Any) -> dict[str, Any]:
    side = maker.images()
    media = Media(str(base), side=side.min_side if side else None)
    vectors = pa.array(answers(maker, batch, media)["vector"], maker.measures()["vector"])
    step_ = step(*benchmarks, embedding="embed.vector", threshold=0.7).with_maker(maker)
    return answers(step_, batch.append_column("embed.vector", vectors), media)


def test_items_without_embeddings_are_embedded_as_the_records_are(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", *({"q": question} for question in QUESTIONS))
    benchmark = {"name": "b", "path": "b.jsonl", "text": "q"}
    batch = text_records(PARAPHRASE, "A cat sleeps on a red sofa.", "")
    found = answered(tmp_path, Embed(on="text"), batch, benchmark)
    assert found["drop"] == ["benchmark embedding", None, None]
    assert found["item"] == ["b.jsonl#1", None, None]
    assert 0.7 <= found["similarity"][0] < 1


def test_images_of_items_are_embedded_too(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "a.jpg").write_bytes(make_image(200, 150, 1))
    whole = Image.open(tmp_path / "items" / "a.jpg")
    whole.crop((20, 10, 200, 150)).save(tmp_path / "crop.png")
    (tmp_path / "other.jpg").write_bytes(make_image(200, 150, 2))
    batch = media_records(*([{"kind": "image", "uri": n}] for n in ("crop.png", "other.jpg")))
    found = answered(tmp_path, Embed(), batch, {"name": "b", "path": "items"})
    assert found["item"][0] == "a.jpg"
    assert found["drop"][0] in ("benchmark embedding", "benchmark image")


def test_a_recipe_states_the_model_once(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"q": QUESTIONS[0]})
    write_texts(tmp_path / "data", [PARAPHRASE, "A cat sleeps.", "Two dogs run."])
    benchmark = {"name": "b", "path": "b.jsonl", "text": "q"}
    settings = {"benchmarks": [benchmark], "embedding": "embed.vector", "threshold": 0.7}
    steps = ({"embed": {"on": "text"}}, {"decontaminate": settings})
    made = run_engine(text_recipe(*steps), tmp_path, tmp_path / "out")
    assert row_counts(made)["decontaminate"][:3] == (3, 2, {"benchmark embedding": 1})
