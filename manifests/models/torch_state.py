"""Tensors of a PyTorch checkpoint (`.pth`, both layouts) as numpy arrays, without PyTorch.

The layouts are the zip archive that `torch.save` writes since PyTorch 1.6, and the stream of
pickles that it wrote earlier (torch/serialization.py, `_legacy_save`). Nothing is imported or run:
all names in a pickle except tensors and ordered dicts are refused.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from manifests.errors import FileError, InputError, is_of_environment
from manifests.models.pickles import load_next

_MAGIC = 0x1950A86A20F9469CFC6C
"""First number of the stream layout (published: torch/serialization.py, MAGIC_NUMBER)."""
_TYPES = {
    "FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16,
    "LongStorage": np.int64, "IntStorage": np.int32, "ShortStorage": np.int16,
    "CharStorage": np.int8, "ByteStorage": np.uint8, "BoolStorage": np.bool_,
}  # fmt: skip


class _Storage(NamedTuple):
    """A storage of a checkpoint, which is a flat block of numbers. A tensor uses some numbers of
    one storage. `key`: the name of the storage in the file. `type`: the type of its numbers.
    `numbers`: how many numbers the storage has."""

    key: str
    type: np.dtype[Any]
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state(data: bytes, place: str) -> dict[str, np.ndarray]:
    """Returns every tensor of a state dict by name: {"fc.weight": array of shape (1000, 1280),
    ...}.

    Plain values, such as numbers, are left out. Raises InputError if the bytes are not a
    checkpoint, or if they contain objects other than tensors and plain values.
    """
    try:
        if data[:4] == b"PK\x03\x04":
            state, storages = _read_zip(data)
        else:
            state, storages = _read_stream(data)
        if not isinstance(state, Mapping):
            raise ValueError(f"the file contains a {type(state).__name__}, not a dict of tensors")
        return {
            str(name): _array(tensor, storages)
            for name, tensor in state.items()
            if isinstance(tensor, _Tensor)
        }
    except FileError as error:
        raise InputError(
            f"this is not a PyTorch checkpoint of tensors: {error.message}", place
        ) from None
    except Exception as error:  # on broken bytes zipfile and numpy raise errors of many types
        if is_of_environment(error):
            raise
        fault = f"this is not a PyTorch checkpoint of tensors: {error}"
        raise InputError(fault, place, "Copy the file again.") from error


def _read_stream(data: bytes) -> tuple[Any, Callable[[_Storage], memoryview]]:
    stream = io.BytesIO(data)
    if _load(stream) != _MAGIC:
        raise ValueError("the file does not start with the number that PyTorch writes first")
    _load(stream)  # protocol version
    _load(stream)  # sizes of C types on the machine that wrote it
    state, keys = _load(stream), _load(stream)
    types = {t.storage.key: t.storage for t in state.values() if isinstance(t, _Tensor)}
    blocks, view = {}, memoryview(data)
    for key in keys:
        numbers = int.from_bytes(stream.read(8), "little")
        size = numbers * types[key].type.itemsize
        blocks[key] = view[stream.tell() : stream.tell() + size]
        stream.seek(size, io.SEEK_CUR)
    return state, lambda storage: blocks[storage.key]


def _read_zip(data: bytes) -> tuple[Any, Callable[[_Storage], memoryview]]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    folder = name.removesuffix("data.pkl")
    packed = next((i.filename for i in archive.infolist() if i.compress_type), None)
    if packed:
        raise ValueError(
            f"the member {packed} of the archive is compressed, but PyTorch never compresses"
        )
    state = _load(io.BytesIO(archive.read(name)))
    return state, lambda storage: memoryview(archive.read(f"{folder}data/{storage.key}"))


def _load(stream: io.BytesIO) -> Any:
    return load_next(stream, len(stream.getbuffer()), _ALLOWED, _storage)


def _rebuild(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """Returns the description of a tensor. For each tensor a checkpoint calls the function
    `torch._utils._rebuild_tensor_v2`; `_rebuild` is called instead of this function."""
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _storage(identity: Any) -> _Storage:
    """Returns the storage (a block of numbers) that a pickle refers to by a persistent id:
    ("storage", type, key, device, size)."""
    kind, type_, key, _, numbers = identity[:5]
    if kind != "storage" or not callable(type_):
        raise ValueError(f"the file refers to an unknown object: {identity!r:.80}")
    return _Storage(str(key), np.dtype(type_()), int(numbers))


_ALLOWED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    **{f"torch.{name}": partial(np.dtype, type_) for name, type_ in _TYPES.items()},
}


def _array(tensor: _Tensor, storages: Callable[[_Storage], memoryview]) -> np.ndarray:
    """Copies the numbers of a tensor into a new array, in C order. In the file the numbers may be
    in any order that strides can describe, such as channels last. `storages` is a function that
    returns the bytes of a storage."""
    block = storages(tensor.storage)
    if len(block) != tensor.storage.numbers * tensor.storage.type.itemsize:
        raise ValueError(
            f"a storage of {tensor.storage.numbers} numbers of type {tensor.storage.type} has "
            f"{len(block)} bytes in the file"
        )
    numbers = np.frombuffer(block, tensor.storage.type)
    steps = [(size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    last = tensor.offset + sum(steps)
    if min([tensor.offset, *tensor.shape, *tensor.strides], default=0) < 0 or (
        0 not in tensor.shape and last >= len(numbers)
    ):
        raise ValueError(
            f"a tensor of shape {tensor.shape} reaches outside its storage in the file"
        )
    if math.prod(tensor.shape) > len(numbers):  # strides of 0 repeat the same numbers
        raise ValueError(
            f"a tensor of shape {tensor.shape} needs more numbers than its storage in the file has"
        )
    item = numbers.itemsize
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, [stride * item for stride in tensor.strides]
    )
    return np.array(view, order="C")
