"""Opens an ONNX model once in each worker, and runs it on whole batches, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from manifests.errors import InputError, is_of_environment
from manifests.models.onnx_files import operators
from manifests.models.packages import INSTALL

GROUPS = {False: 1, True: 64}
"""How many rows a model with a variable batch is given at once, on a CPU and on a GPU (our choice).
It is always the same number, because a model may compute a row differently in another batch; a
model with 8-bit numbers scales them by all rows of a batch. On a CPU larger batches are no
faster with one thread."""
_NUMBERS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""The domains of the operators that ONNX Runtime has (documented: its list of operators)."""


class OnnxModel:
    """An ONNX model in memory. `threads` is the number of CPU threads that the model uses for a
    batch. With one thread, the outputs of every run on one CPU are the same, bit for bit.

    `weights`: the content of the files that have the weights, by the names that the model has for
    them; empty if the model has its weights itself.
    """

    def __init__(
        self,
        data: bytes,
        place: str,
        threads: int = 1,
        gpu: bool = False,
        weights: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self.place, self._group = place, GROUPS[gpu]
        runtime = _runtime()
        providers = _providers(runtime, place, gpu)
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # only errors: every worker would print its warnings
        if weights:
            _add_weights(options, weights, place)
        try:
            self._session = runtime.InferenceSession(data, options, providers=providers)
        except Exception as error:  # on broken bytes onnxruntime raises errors of many types
            if is_of_environment(error):
                raise
            raise _broken(data, place, error) from None
        if gpu and providers[0] not in self._session.get_providers():
            raise InputError(
                "the recipe asks for a GPU, but ONNX Runtime cannot use one on this machine",
                place,
                "Check the driver and the CUDA libraries, or set gpus: 0.",
            )

    @property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each input; None for a variable size: {"image": (None, 3, 224, 224)}."""
        return _shapes(self._session.get_inputs())

    @property
    def input_types(self) -> dict[str, str]:
        """The type of each input, as ONNX Runtime names it: {"image": "tensor(float)"}."""
        return {value.name: value.type for value in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each output, by name; None for a variable size."""
        return _shapes(self._session.get_outputs())

    def chosen_output(self, output: str | None) -> str:
        """Returns the name of an output; None means the model's only one. Raises InputError if the
        model does not have it."""
        names = list(self.outputs)
        if output is None and len(names) == 1:
            return names[0]
        if output not in names:
            fault = (
                f"the model has {len(names)} outputs, and the recipe names none"
                if output is None
                else f"the model has no output {output!r}"
            )
            raise InputError(fault, self.place, f"Set output to one of {names}.")
        return output

    def run(self, output: str, **inputs: np.ndarray) -> np.ndarray:
        """Runs the model on a batch and returns the output with the name `output`."""
        return self.run_all([output], **inputs)[0]

    def run_all(self, outputs: Sequence[str], **inputs: np.ndarray) -> list[np.ndarray]:
        """Runs the model on a batch and returns the outputs with these names. Numbers are converted
        to the type that an input has."""
        types = self.input_types
        given = {
            n: a.astype(_NUMBERS.get(types[n], a.dtype), copy=False) for n, a in inputs.items()
        }
        return [np.asarray(found) for found in self._session.run(list(outputs), given)]

    def run_rows(self, output: str, name: str, rows: np.ndarray) -> np.ndarray:
        """Runs the model on rows of its input `name`, in batches of equal size: the size that the
        model states, or else the one in GROUPS. The last batch is filled up with zeros. So the
        output of a row does not depend on how many rows there are.

        Raises InputError if the output does not have one row for each row of the input.
        """
        size = self.inputs[name][0] or self._group
        found = []
        for start in range(0, len(rows), size):
            group = rows[start : start + size]
            missing = np.zeros((size - len(group), *rows.shape[1:]), rows.dtype)
            one = self.run(output, **{name: np.concatenate([group, missing])})
            if one.ndim == 0 or len(one) != size:
                raise InputError(
                    f"the output {output!r} has the shape {one.shape} for {size} rows of the input",
                    self.place,
                    "Name an output that has one row for each row of the input.",
                )
            found.append(one[: len(group)])
        return np.concatenate(found)

    def close(self) -> None:
        del self._session


def _providers(runtime: Any, place: str, gpu: bool) -> list[str]:
    providers = ["CPUExecutionProvider"]
    if gpu:
        if "CUDAExecutionProvider" not in runtime.get_available_providers():
            raise InputError(
                "the recipe asks for a GPU, but the installed onnxruntime has no support for CUDA",
                place,
                "Install onnxruntime-gpu, or set gpus: 0.",
            )
        providers.insert(0, "CUDAExecutionProvider")
    return providers


def _add_weights(options: Any, weights: Mapping[str, bytes], place: str) -> None:
    """Adds the weights to the options of a session. Raises InputError if the installed onnxruntime
    has no method for this."""
    add = getattr(options, "add_external_initializers_from_files_in_memory", None)
    if add is None:
        raise InputError(
            "the installed onnxruntime cannot read weights from a second file",
            place,
            "Run: pip install --upgrade onnxruntime",
        )
    contents = list(weights.values())
    add(list(weights), contents, [len(content) for content in contents])


def _broken(data: bytes, place: str, error: Exception) -> InputError:
    unknown = sorted(f"{d}:{op}" for d, op in operators(data) if d not in _KNOWN_DOMAINS)
    if unknown:
        return InputError(
            f"ONNX Runtime does not have these operators of the model: {', '.join(unknown)}",
            place,
            "Export the model with the operators of ONNX alone.",
        )
    fault = f"this is not a working ONNX model: {error}"
    return InputError(fault, place, "Copy the file again, or export the model again.")


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
