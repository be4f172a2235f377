"""Looks into the file of an ONNX model: which operators it uses, and in which files its weights
are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from manifests.errors import InputError
from manifests.models.packages import INSTALL


def weight_names(data: bytes, place: str) -> list[str]:
    """Returns the names of the files beside an ONNX model that have its weights, in order; empty if
    the model has its weights itself. Raises InputError if the data is no ONNX model."""
    parsed = _parsed(data)
    if parsed is None:
        raise InputError(
            "this is not a working ONNX model: it cannot be parsed",
            place,
            "Copy the file again, or export the model again.",
        )
    return sorted({name for tensor in _tensors(parsed.graph) for name in _locations(tensor)})


def operators(data: bytes) -> set[tuple[str, str]]:
    """Returns the operators of an ONNX model, each as its domain and name; none if the data is no
    ONNX model. Functions that the model defines itself are left out."""
    parsed = _parsed(data)
    if parsed is None:
        return set()
    own = {(function.domain, function.name) for function in parsed.functions}
    return {(node.domain, node.op_type) for node in _nodes(parsed.graph)} - own


def _parsed(data: bytes) -> Any:
    """Returns the parsed model; None if the data cannot be parsed or has no graph."""
    try:
        import onnx
    except ImportError:
        raise InputError("onnx is not installed", "models", INSTALL) from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf's class of errors depends on its implementation
        return None
    return model if model.graph.node else None


def _nodes(graph: Any) -> Iterator[Any]:
    """Yields the nodes of a graph and of the graphs inside it (branches and loops)."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in _nodes(graph):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors, *attribute.g.initializer)
            yield from (one for inner in attribute.graphs for one in inner.initializer)


def _locations(tensor: Any) -> list[str]:
    """Returns the name of the file that has the tensor, in a list; empty if the model has it."""
    external: int = tensor.EXTERNAL
    if tensor.data_location != external:
        return []
    return [entry.value for entry in tensor.external_data if entry.key == "location"]
