"""The one reader of pickles: it reads plain data, and calls only functions that the caller allows.

A pickle is a program that may import and call anything. Here it can build lists, tuples, dicts,
text, bytes, numbers, booleans and None; any other name in it is looked up in an allow-list.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, BinaryIO

from manifests.errors import FileError

MAX_BYTES = 256 << 20
"""Largest pickle that is read (ours: RefCOCO's are under 100 MB)."""
MAX_INSTRUCTIONS = 20_000_000
"""Most instructions of a pickle (ours: RefCOCO's have some 7 million). Each takes about 0.5 us and
up to 80 bytes (an empty list). So a hostile file costs some 15 s and 1.6 GB, beside its text."""
MAX_DEPTH = 64
"""Most containers inside each other (ours: RefCOCO's have 4)."""
MAX_GROWTH, FREE_SIZE = 10, 1 << 20
"""Most values and characters for each byte of the file; a shared value counts at each occurrence.
FREE_SIZE of them are accepted for a file of any size (both ours)."""
MAX_KEY = 1 << 31
"""Limit of whole numbers as dict keys (ours): larger ones can be chosen to have the same hash."""
MAX_BITS = 4096
"""Longest whole number (ours): Python refuses to print one of over 4,300 digits."""
_FIX = "Only lists, tuples, dicts, text, bytes, numbers, booleans and None are read."


def loads(data: bytes, allowed: Mapping[str, Callable[..., Any]] = MappingProxyType({})) -> Any:
    """The value of a pickle; text of Python 2 is read as Latin-1.

    `allowed` maps each name that the pickle may use to a function that is called in its place, with
    whatever arguments the file has: `{"collections.OrderedDict": lambda: {}}`.

    Raises FileError for a pickle that is broken or over a limit, or that uses any other name.
    """
    if len(data) > MAX_BYTES:
        raise FileError(f"the pickle has {len(data)} bytes, over the limit of {MAX_BYTES}.")
    return load_next(io.BytesIO(data), len(data), allowed)


def load_next(
    stream: BinaryIO,
    size: int,
    allowed: Mapping[str, Callable[..., Any]],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """As `loads`, for the pickle that begins at the position of `stream`, which is then at the
    pickle's end.

    `size`: the size of the whole file, in bytes. `persistent` returns the object of a persistent
    id, such as a block of numbers outside the pickle; if it is None, such ids are an error.
    """
    try:
        value = _Unpickler(stream, allowed, persistent).load()
    except FileError:
        raise
    except Exception as error:  # "Note that other exceptions may also be raised" (pickle's manual)
        fault = f"a broken pickle: {str(error).rstrip('.') or type(error).__name__:.200}."
        raise FileError(fault, fix="Copy the file again.") from None
    _check_size([value], max(MAX_GROWTH * size, FREE_SIZE), MAX_DEPTH)
    return value


class _Unpickler(pickle._Unpickler):
    """The standard library's unpickler in Python. The one in C cannot be used: it hashes dict keys
    before they can be checked, and allocates as much memory as a number in the file asks for."""

    def __init__(
        self,
        stream: BinaryIO,
        allowed: Mapping[str, Callable[..., Any]],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(stream, encoding="latin1")
        self._allowed, self._persistent = allowed, persistent
        self.dispatch = _Instructions(_OBEYED)  # type: ignore[misc]

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise FileError("the pickle uses persistent ids, which are not allowed here.", fix=_FIX)
        return self._persistent(pid)

    def find_class(self, module: str, name: str) -> Any:
        function = self._allowed.get(f"{module}.{name}")
        if function is None:
            raise FileError(
                f"the pickle uses {module:.80}.{name:.80}, which is not allowed.", fix=_FIX
            )
        return lambda *args: function(*args)  # a new one, as the pickle may set its attributes


class _Instructions(dict[int, Callable[..., Any]]):
    """The functions of the instructions, by code. It counts the instructions that are run."""

    count = 0

    def __getitem__(self, code: int) -> Callable[..., Any]:
        self.count += 1
        if self.count > MAX_INSTRUCTIONS:
            raise FileError(f"the pickle has more than {MAX_INSTRUCTIONS} instructions.")
        if code not in self:
            raise FileError(
                f"the pickle uses the instruction {bytes([code])!r}, which is not allowed.",
                fix=_FIX,
            )
        return super().__getitem__(code)


def _checking_keys(code: bytes, keys: slice) -> Callable[..., Any]:
    """The function of an instruction, which first checks the dict keys in this part of the
    stack."""
    load = pickle._Unpickler.dispatch[code[0]]

    def checked(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            if type(key) is not str and not (type(key) is int and abs(key) < MAX_KEY):
                fault = f"a pickle with a dict key of type {type(key).__name__}."
                raise FileError(fault, fix=f"Keys may be text, or whole numbers below {MAX_KEY}.")
        load(unpickler)

    return checked


_REFUSED = {  # they hash any value, ask for memory that the file does not fill, or avoid find_class
    pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.BYTEARRAY8,
    pickle.EXT1, pickle.EXT2, pickle.EXT4,
}  # fmt: skip
_OBEYED = {
    code: load for code, load in pickle._Unpickler.dispatch.items() if bytes([code]) not in _REFUSED
} | {
    pickle.SETITEM[0]: _checking_keys(pickle.SETITEM, slice(-2, -1)),
    pickle.SETITEMS[0]: _checking_keys(pickle.SETITEMS, slice(0, None, 2)),
    pickle.DICT[0]: _checking_keys(pickle.DICT, slice(0, None, 2)),
}


def _check_size(container: Any, left: int, depth: int) -> int:
    """How many of `left` values and characters remain after those of a container, nested at most
    `depth` deep. FileError if none remain."""
    is_dict = isinstance(container, dict)
    for value in chain(container, container.values()) if is_dict else container:
        left -= 1 + (len(value) if isinstance(value, str | bytes) else 0)
        if left < 0:
            raise _bomb(f"values that come to over {MAX_GROWTH} times its size")
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise _bomb(f"a number of {value.bit_length()} bits, over the limit of {MAX_BITS}")
        if isinstance(value, list | tuple | dict):
            if depth == 0:
                raise _bomb(f"containers over {MAX_DEPTH} deep inside each other")
            left = _check_size(value, left, depth - 1)
    return left


def _bomb(what: str) -> FileError:
    return FileError(f"a pickle of {what}.", fix="It may be an attack: leave it out of the path.")
