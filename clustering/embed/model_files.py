"""The files of a user's ONNX model: the model, and the files beside it that have its weights."""

from __future__ import annotations

from manifests import storage
from manifests.errors import InputError
from manifests.models.onnx import OnnxModel
from manifests.models.onnx_files import weight_names
from manifests.storage.file_entry import inside


def weight_files(model: str) -> dict[str, str]:
    """Returns the paths of the files that have weights of the ONNX model `model`; the keys are the
    names of these files in the model. The result is empty if all weights are in the ONNX file
    itself.

    Raises InputError if the file is no ONNX model, or if a file of weights is not beside it.
    """
    return _paths(model, storage.read_bytes(model))


def open_model(model: str, gpu: bool) -> OnnxModel:
    """Opens the ONNX file `model` with its files of weights."""
    data = storage.read_bytes(model)
    weights = {name: storage.read_bytes(path) for name, path in _paths(model, data).items()}
    return OnnxModel(data, model, gpu=gpu, weights=weights)


def _paths(model: str, data: bytes) -> dict[str, str]:
    return {name: _beside(model, name) for name in weight_names(data, model)}


def _beside(model: str, name: str) -> str:
    """Returns the path of a file of weights. Raises InputError if there is no such file, or if its
    name leads to another folder."""
    try:
        path = storage.join(storage.folder_of(model), inside(name))
    except ValueError:
        raise InputError(
            f"the model has its weights in the file {name!r}, which is outside of its folder",
            model,
            "Export the model with its weights in a file beside it.",
        ) from None
    if not storage.exists(path):
        raise InputError(
            f"the model has its weights in the file {name!r}, but this file is not beside it",
            model,
            "Copy this file to the folder of the model.",
        )
    return path
