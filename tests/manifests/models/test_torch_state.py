"""Checkpoints of PyTorch give the arrays that were saved, in both layouts, without PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from manifests.errors import InputError
from manifests.models.torch_state import read_state

ARRAYS = {
    "weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "steps": np.array(7, np.int64),
    "half": np.array([1.5, -2.5], np.float16),
    "none": np.zeros((0, 3), np.float32),
}
TYPES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


class _Stored:
    """Stands for torch.Tensor in the pickle: rebuilt from its storage, as PyTorch writes it."""

    def __init__(self, key: str, array: np.ndarray, strides: tuple[int, ...] | None = None) -> None:
        self.key, self.array = key, array
        self.strides = strides or tuple(s // array.itemsize for s in array.strides)


class _Pickler(pickle._Pickler):
    """Writes tensors by the names of PyTorch's functions; PyTorch need not be there."""

    # dill, which `datasets` imports, replaces how functions are pickled.
    dispatch: ClassVar[Any] = {
        **pickle._Pickler.dispatch,
        types.FunctionType: pickle._Pickler.save_global,
    }

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, _Stored):
            return (
                _global("torch._utils", "_rebuild_tensor_v2"),
                (_Storage(value), 0, value.array.shape, value.strides, False, OrderedDict()),
            )
        return NotImplemented

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _Storage):
            kind = _global("torch", TYPES[value.stored.array.dtype.name])
            return ("storage", kind, value.stored.key, "cpu", value.stored.array.size)
        return None


class _Storage:
    def __init__(self, stored: _Stored) -> None:
        self.stored = stored


def _global(module: str, name: str) -> Any:
    """A function that pickles as `module.name`."""
    made = types.FunctionType((lambda *_: None).__code__, {}, name)
    made.__module__, made.__qualname__ = module, name
    for package in (module.split(".")[0], module):
        owner = sys.modules.setdefault(package, types.ModuleType(package))
    if not hasattr(owner, name):
        setattr(owner, name, made)
    return getattr(owner, name)


@pytest.fixture(autouse=True)
def names_of_torch() -> Any:
    """The names that the pickles of this file use exist only while it is tested."""
    before = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "torch"}
    for name in before:
        del sys.modules[name]
    yield
    for name in [n for n in sys.modules if n.split(".")[0] == "torch"]:
        del sys.modules[name]
    sys.modules.update(before)


def dumped(value: Any) -> bytes:
    out = io.BytesIO()
    _Pickler(out, 2).dump(value)
    return out.getvalue()


def stored(arrays: dict[str, np.ndarray]) -> OrderedDict[str, _Stored]:
    return OrderedDict((n, _Stored(str(i), a)) for i, (n, a) in enumerate(arrays.items()))


def stream(state: Any, blocks: dict[str, np.ndarray]) -> bytes:
    """The layout before PyTorch 1.6."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    data = b"".join(pickle.dumps(value, 2) for value in head)
    data += dumped(state) + pickle.dumps(list(blocks), 2)
    for block in blocks.values():
        data += struct.pack("<q", block.size) + np.ascontiguousarray(block).tobytes()
    return data


def archive(state: Any, blocks: dict[str, np.ndarray]) -> bytes:
    """The layout since PyTorch 1.6."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("model/data.pkl", dumped(state))
        for key, block in blocks.items():
            file.writestr(f"model/data/{key}", np.ascontiguousarray(block).tobytes())
    return out.getvalue()


@pytest.mark.parametrize("layout", [stream, archive])
def test_every_tensor_is_read(layout: Any) -> None:
    state = stored(ARRAYS)
    read = read_state(layout(state, {s.key: s.array for s in state.values()}), "model.pth")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


@pytest.mark.parametrize("layout", [stream, archive])
def test_a_tensor_in_another_order_of_memory_is_read_by_its_strides(layout: Any) -> None:
    rows_last = _Stored("0", np.arange(6, dtype=np.float32).reshape(2, 3), strides=(1, 2))
    read = read_state(layout(OrderedDict(w=rows_last), {"0": rows_last.array}), "model.pth")
    assert read["w"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert read["w"].flags.c_contiguous


@pytest.mark.parametrize("layout", [stream, archive])
def test_a_tensor_outside_its_storage_is_refused(layout: Any) -> None:
    far = _Stored("0", np.arange(6, dtype=np.float32).reshape(2, 3), strides=(100, 1))
    with pytest.raises(InputError, match="reaches outside its storage in the file"):
        read_state(layout(OrderedDict(w=far), {"0": far.array}), "model.pth")


@pytest.mark.parametrize("layout", [stream, archive])
def test_a_checkpoint_that_names_other_code_is_refused(layout: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return print, ("run",)

    with pytest.raises(
        InputError, match=r"model.pth: this is not a PyTorch checkpoint of tensors: .*print"
    ):
        read_state(layout(OrderedDict(w=Evil()), {}), "model.pth")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02K\x01.", b"not a pickle"])
def test_bytes_that_are_no_checkpoint_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^model.pth: this is not a PyTorch checkpoint"):
        read_state(data, "model.pth")


def test_a_checkpoint_that_is_cut_is_refused() -> None:
    state = stored(ARRAYS)
    blocks = {s.key: s.array for s in state.values()}
    for layout in (stream, archive):
        data = layout(state, blocks)
        for size in range(0, len(data) - 1, 37):
            with pytest.raises(InputError, match="not a PyTorch checkpoint"):
                read_state(data[:size], "model.pth")


WRITE = """
import sys, torch
state = {"w": torch.arange(6.0).reshape(2, 3).t(), "n": torch.tensor(3)}
for zipped, path in zip((True, False), sys.argv[1:], strict=True):
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
"""


def test_pytorch_itself_writes_what_is_read(tmp_path: Path) -> None:
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    paths = [tmp_path / "zipped.pth", tmp_path / "old.pth"]
    # PyTorch cannot be imported twice in one process, and other tests replace its modules.
    subprocess.run([sys.executable, "-c", WRITE, *map(str, paths)], check=True)
    for path in paths:
        read = read_state(path.read_bytes(), path.name)
        assert read["w"].tolist() == [[0, 3], [1, 4], [2, 5]]
        assert int(read["n"]) == 3
