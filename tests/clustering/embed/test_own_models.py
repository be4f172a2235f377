"""ONNX files of a user: what works, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from clustering.embed.embed import Embed
from curate.engine.plan import plan
from curate.recipe import build
from manifests.errors import InputError
from manifests.media import Media
from manifests.step import Worker
from tests.filters.rows import answers, media_records
from tests.runs import caption_recipe

SIDE, WIDTH = 4, 5
WEIGHTS = np.random.default_rng(0).standard_normal((3 * SIDE * SIDE, WIDTH)).astype(np.float32)


def projection(kind: int = TensorProto.FLOAT, batch: Any = "n", **more: Any) -> onnx.ModelProto:
    """A model that multiplies the pixels of an image by WEIGHTS."""
    value, node = helper.make_tensor_value_info, helper.make_node
    weights = WEIGHTS.astype(helper.tensor_dtype_to_np_dtype(kind))
    shape = np.array([batch if isinstance(batch, int) else -1, weights.shape[0]])
    nodes = [
        node("Reshape", ["pixels", "shape"], ["flat"]), node("MatMul", ["flat", "w"], ["vector"])
    ]  # fmt: skip
    graph = helper.make_graph(
        more.get("nodes", nodes),
        "projection",
        [value("pixels", kind, more.get("pixels", [batch, 3, SIDE, SIDE]))],
        more.get("outputs", [value("vector", kind, [batch, WIDTH])]),
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(shape, "shape")],
    )
    opsets = [helper.make_opsetid("", 17), *more.get("opsets", [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def settings(folder: Path, model: onnx.ModelProto | bytes, **more: Any) -> dict[str, Any]:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "own.onnx").write_bytes(data)
    config = {"size": SIDE, "do_normalize": False}
    (folder / "own.json").write_text(json.dumps(config))
    return {"model": "own.onnx", "config": "own.json", "width": WIDTH, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(11):
        rows = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3))
        Image.fromarray(rows.astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def embedded(folder: Path, step: Embed, images: int = 11) -> np.ndarray:
    batch = media_records(*([{"kind": "image", "uri": f"{n}.png"}] for n in range(images)))
    return np.array(answers(step, batch, Media(str(folder)))["vector"], np.float64)


def expected(folder: Path) -> np.ndarray:
    images = [np.asarray(Image.open(folder / f"{n}.png"), np.float64) / 255 for n in range(11)]
    flat = np.stack([image.transpose(2, 0, 1).ravel() for image in images])
    product: np.ndarray = flat @ WEIGHTS
    return product


@pytest.mark.parametrize("batch", ["n", 1, 3, 16])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_any_batch_and_float16_inputs_work(folder: Path, batch: Any, kind: int) -> None:
    step = Embed(**settings(folder, projection(kind, batch)))
    found = embedded(folder, step)
    np.testing.assert_allclose(found, expected(folder), rtol=5e-3, atol=1e-2)
    alone = np.concatenate([embedded(folder, step, 1), embedded(folder, step, 3)[1:]])
    np.testing.assert_array_equal(alone, found[:3])


def test_a_model_with_8_bit_numbers_embeds_an_image_alone(folder: Path) -> None:
    """Its numbers are scaled by the whole batch."""
    node = helper.make_node
    nodes = [
        node("Sqrt", ["pixels"], ["roots"]),
        node("DynamicQuantizeLinear", ["roots"], ["small", "scale", "zero"]),
        node("DequantizeLinear", ["small", "scale", "zero"], ["large"]),
        node("Reshape", ["large", "shape"], ["flat"]), node("MatMul", ["flat", "w"], ["vector"]),
    ]  # fmt: skip
    Image.new("RGB", (SIDE, SIDE), (1, 2, 3)).save(folder / "0.png")
    step = Embed(**settings(folder, projection(nodes=nodes)))
    np.testing.assert_array_equal(embedded(folder, step, 1)[0], embedded(folder, step)[0])


def with_second_file(folder: Path, name: str = "own.onnx_data") -> dict[str, Any]:
    made = settings(folder, projection())
    onnx.save(
        projection(), str(folder / "own.onnx"), save_as_external_data=True, location=name,
        size_threshold=100,
    )  # fmt: skip
    return made


def prints(folder: Path, step: dict[str, Any]) -> list[str]:
    recipe = build(caption_recipe(steps=[{"embed": step}]), base=str(folder))
    return [one.fingerprint for one in plan(recipe)]


def test_weights_in_a_second_file_are_read_and_identify_the_model(folder: Path) -> None:
    step = with_second_file(folder)
    np.testing.assert_allclose(embedded(folder, Embed(**step)), expected(folder), atol=1e-2)
    before = prints(folder, step)
    data = bytearray((folder / "own.onnx_data").read_bytes())
    data[0] ^= 1
    (folder / "own.onnx_data").write_bytes(data)
    assert prints(folder, step)[1] != before[1]
    (folder / "own.onnx_data").unlink()
    fault = r"weights in the file 'own.onnx_data', but this file is not beside it. Copy this file"
    with pytest.raises(InputError, match=fault):
        prints(folder, step)


@pytest.mark.parametrize("name", ["../own.onnx_data", "/etc/passwd"])
def test_weights_are_not_read_from_another_folder(folder: Path, name: str) -> None:
    step = with_second_file(folder)
    data = (folder / "own.onnx").read_bytes()
    model = onnx.ModelProto.FromString(data)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = name if entry.key == "location" else entry.value
    (folder / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=f"the file '{name}', which is outside of its folder"):
        Embed(**step).load(Worker(str(folder)))


def tokens(folder: Path, **more: Any) -> dict[str, Any]:
    """A model with the outputs `tokens` (n, 3, 16), the channels, and `pooled` (n, 16)."""
    value, node = helper.make_tensor_value_info, helper.make_node
    nodes = [
        node("Flatten", ["pixels"], ["flat"]), node("Slice", ["flat", "a", "b", "a1"], ["pooled"]),
        node("Constant", [], ["a"], value_ints=[0]), node("Constant", [], ["b"], value_ints=[16]),
        node("Constant", [], ["a1"], value_ints=[1]),
        node("Constant", [], ["three"], value_ints=[0, 3, 16]),
        node("Reshape", ["pixels", "three"], ["tokens"]),
    ]  # fmt: skip
    nodes = [*nodes[2:6], nodes[0], nodes[1], nodes[6]]
    outputs = [
        value("tokens", TensorProto.FLOAT, ["n", 3, 16]),
        value("pooled", TensorProto.FLOAT, ["n", 16]),
    ]
    return settings(folder, projection(nodes=nodes, outputs=outputs), **{"width": 16, **more})


def test_an_output_of_tokens_names_the_pooled_one_or_is_pooled(folder: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"'tokens' has the shape \(2, 3, 16\) for 2 images: several vectors for an image. "
        r"Set output to one of \['pooled'\], which have one vector for an image, or set pooling: "
        r"first \(the class token\) or pooling: mean.",
    ):
        Embed(**tokens(folder, output="tokens")).load(Worker(str(folder)))
    pooled = embedded(folder, Embed(**tokens(folder, output="pooled")))
    first = embedded(folder, Embed(**tokens(folder, output="tokens", pooling="first")))
    mean = embedded(folder, Embed(**tokens(folder, output="tokens", pooling="mean")))
    np.testing.assert_array_equal(first, pooled)
    assert not np.array_equal(mean, pooled)
    with pytest.raises(InputError, match=r"but pooling needs \(images, tokens, width\)"):
        Embed(**tokens(folder, output="pooled", pooling="mean")).load(Worker(str(folder)))


FLOAT = TensorProto.FLOAT
WRONG = [
    (b"", {}, "this is not a working ONNX model"),
    (projection().SerializeToString()[:-200], {}, "this is not a working ONNX model"),
    (projection(pixels=["n", 1, SIDE, SIDE]), {}, r"shape \(None, 1, 4, 4\), not \(images, 3"),
    (projection(pixels=["n", SIDE, SIDE, 3]), {}, r"shape \(None, 4, 4, 3\), not \(images, 3"),
    (projection(pixels=["n", 48]), {}, r"shape \(None, 48\), not \(images, 3, height"),
    (projection(pixels=["n", 3, 8, 8]), {}, r"shape \(None, 3, 8, 8\), but its preprocessor "),
    (projection(TensorProto.DOUBLE), {}, r"type tensor\(double\), not float32 or float16"),
    (projection(), {"width": 7}, "makes 5 numbers for an image, but width is 7. Set width: 5."),
    (
        projection(
            nodes=[helper.make_node("Patches", ["pixels"], ["vector"], domain="acme.vision")],
            opsets=[helper.make_opsetid("acme.vision", 1)],
        ),
        {},
        "does not have these operators of the model: acme.vision:Patches. Export the model with",
    ),
]


@pytest.mark.parametrize(("model", "more", "fault"), WRONG)
def test_models_that_cannot_work_are_refused_by_name(
    folder: Path, model: onnx.ModelProto | bytes, more: dict[str, Any], fault: str
) -> None:
    step = Embed(**settings(folder, model, **more))
    with pytest.raises(InputError, match=rf"own\.onnx: .*{fault}"):
        step.load(Worker(str(folder)))


def test_a_model_of_images_and_texts_names_its_inputs(folder: Path) -> None:
    model = projection()
    model.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 9]))
    fault = r"inputs \['pixels', 'ids'\], not one input.*take the part for images"
    with pytest.raises(InputError, match=fault):
        Embed(**settings(folder, model)).load(Worker(str(folder)))


def test_a_configuration_without_a_fixed_shape_is_refused(folder: Path) -> None:
    step = settings(folder, projection())
    config = {"size": {"shortest_edge": SIDE}, "do_normalize": False}
    (folder / "own.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="does not give all images the same height and width"):
        Embed(**step).load(Worker(str(folder)))
