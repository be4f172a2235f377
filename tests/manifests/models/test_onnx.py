"""ONNX models: opened from bytes, shapes by name, and one error for anything else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from manifests.errors import InputError
from manifests.models.onnx import OnnxModel


def doubling() -> bytes:
    """A model that doubles a batch of three numbers."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubling",
        [value("x", TensorProto.FLOAT, ["n", 3])],
        [value("y", TensorProto.FLOAT, ["n", 3])],
    )
    opset = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString()


def test_a_model_has_named_shapes_and_runs_on_batches() -> None:
    model = OnnxModel(doubling(), "doubling.onnx")
    assert (model.inputs, model.outputs) == ({"x": (None, 3)}, {"y": (None, 3)})
    batch = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.testing.assert_array_equal(model.run("y", x=batch), 2 * batch)
    model.close()


@pytest.mark.parametrize("data", [b"", b"nonsense", doubling()[:-9]])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a.onnx: this is not a working ONNX model"):
        OnnxModel(data, "a.onnx")


def test_a_gpu_that_is_not_there_is_named() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(InputError, match="has no support for CUDA"):
        OnnxModel(doubling(), "a.onnx", gpu=True)
