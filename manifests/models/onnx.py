"""Opens an ONNX model once in each worker, and runs it on whole batches, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifests.errors import InputError, is_of_environment

INSTALL = "Run: pip install 'curate[models]'"


class OnnxModel:
    """An ONNX model in memory. `threads` is the number of CPU threads that the model uses for a
    batch. With one thread, the outputs of every run on one CPU are the same, bit for bit."""

    def __init__(self, data: bytes, place: str, threads: int = 1, gpu: bool = False) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # only errors: every worker would print its warnings
        providers = ["CPUExecutionProvider"]
        if gpu:
            if "CUDAExecutionProvider" not in runtime.get_available_providers():
                raise InputError(
                    "the recipe asks for a GPU, but the installed onnxruntime has no support for "
                    "CUDA",
                    place,
                    "Install onnxruntime-gpu, or set gpus: 0.",
                )
            providers.insert(0, "CUDAExecutionProvider")
        try:
            self._session = runtime.InferenceSession(data, options, providers=providers)
        except Exception as error:  # on broken bytes onnxruntime raises errors of many types
            if is_of_environment(error):
                raise
            fault = f"this is not a working ONNX model: {error}"
            raise InputError(
                fault, place, "Copy the file again, or export the model again."
            ) from None
        self.place = place

    @property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each input; None for a variable size: {"image": (None, 3, 224, 224)}."""
        return _shapes(self._session.get_inputs())

    @property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each output, by name; None for a variable size."""
        return _shapes(self._session.get_outputs())

    def run(self, output: str, **inputs: np.ndarray) -> np.ndarray:
        """Runs the model on a batch and returns the output with the name `output`."""
        [found] = self._session.run([output], inputs)
        return np.asarray(found)

    def close(self) -> None:
        del self._session


def _shapes(values: Sequence[Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        value.name: tuple(size if isinstance(size, int) else None for size in value.shape)
        for value in values
    }


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise InputError("onnxruntime is not installed", "models", INSTALL) from None
    return onnxruntime
