"""Small models of texts, written to a folder: an ONNX file and a tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "cat", "dog", "on", "mat", "query", ":"]
TABLE = np.random.default_rng(5).standard_normal((len(WORDS), 4)).astype(np.float32)
"""The vector of each word."""


def write_tokenizer(folder: Path, padding: bool = False, special: bool = True) -> str:
    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        template = "[CLS] $A [SEP]"
        made.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    if padding:
        made.enable_padding(pad_id=0, pad_token="[PAD]", length=12)
    made.save(str(folder / "tokenizer.json"))
    return "tokenizer.json"


def write_model(
    folder: Path,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    length: int | None = None,
    pooled: bool = False,
    kind: int = TensorProto.INT64,
    positions: int | None = None,
) -> str:
    """A model that looks up each token in `TABLE`. `length`: the fixed number of tokens. `pooled`:
    the output is the sum over all tokens, padding too. `positions`: it fails on longer texts."""
    shape = ["texts", length or "tokens"]
    nodes = [helper.make_node("Gather", ["table", inputs[0]], ["looked_up"])]
    weights = [numpy_helper.from_array(TABLE, "table")]
    found = "looked_up"
    if positions:
        weights += [
            numpy_helper.from_array(np.zeros((positions, 4), np.float32), "positions"),
            numpy_helper.from_array(np.int64(0), "zero"),
            numpy_helper.from_array(np.int64(1), "one"),
        ]  # fmt: skip
        nodes += [
            helper.make_node("Shape", [inputs[0]], ["shape"]),
            helper.make_node("Gather", ["shape", "one"], ["count"]),
            helper.make_node("Range", ["zero", "count", "one"], ["places"]),
            helper.make_node("Gather", ["positions", "places"], ["of_places"]),
            helper.make_node("Add", [found, "of_places"], ["placed"]),
        ]
        found = "placed"
    if pooled:
        weights.append(numpy_helper.from_array(np.array([1]), "axis"))
        nodes.append(helper.make_node("ReduceSum", [found, "axis"], ["embeds"], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", [found], ["embeds"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "look up",
        [value(name, kind, shape) for name in inputs],
        [value("embeds", TensorProto.FLOAT, ["texts", 4] if pooled else [*shape, 4])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    (folder / "text.onnx").write_bytes(made.SerializeToString())
    return "text.onnx"


def settings(folder: Path, **model: Any) -> dict[str, Any]:
    """The settings of a step `embed` with such a model."""
    return {
        "on": "text",
        "model": write_model(folder, **model),
        "tokenizer": write_tokenizer(folder),
        "width": 4,
        "max_tokens": 12,
    }
