"""Reads pickles of plain data. It calls only functions that the caller allows.

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
"""Limit on the bytes of a pickle (our choice: RefCOCO's pickles have under 100 MB)."""
MAX_INSTRUCTIONS = 20_000_000
"""Limit on the instructions of a pickle (our choice: RefCOCO's pickles have about 7 million). Each
instruction takes about 0.5 us and up to 80 bytes (an empty list). So a malicious file takes up to
about 15 s and 1.6 GB, plus the memory for its text."""
MAX_DEPTH = 64
"""Limit on the depth of nested containers (our choice: RefCOCO's pickles have 4)."""
MAX_GROWTH, FREE_SIZE = 10, 1 << 20
"""Limit on the values and characters that a pickle may produce: MAX_GROWTH for each byte of the
file, but never less than FREE_SIZE (both our choice). A value that is used several times counts
each time."""
MAX_KEY = 1 << 31
"""Limit on whole numbers as dict keys (our choice): an attacker can choose larger numbers that have
equal hashes."""
MAX_BITS = 4096
"""Limit on the bits of a whole number (our choice). Python cannot print a number of over 4,300
digits."""
_FIX = "Only lists, tuples, dicts, text, bytes, numbers, booleans and None are read."
_SPLIT = "Write its data as several smaller files."


def loads(data: bytes, allowed: Mapping[str, Callable[..., Any]] = MappingProxyType({})) -> Any:
    """Returns the value of a pickle; text of Python 2 is read as Latin-1.

    `allowed` has the names of functions that the pickle may use, and for each name the function
    that is called instead, with the arguments in the file:
    `{"collections.OrderedDict": lambda: {}}`.

    Raises FileError if the pickle is broken, is over a limit, or uses a name, an instruction or a
    type of dict keys that is not allowed.
    """
    if len(data) > MAX_BYTES:
        raise FileError(
            f"the pickle has {len(data)} bytes, over the limit of {MAX_BYTES}.", fix=_SPLIT
        )
    return load_next(io.BytesIO(data), len(data), allowed)


def load_next(
    stream: BinaryIO,
    size: int,
    allowed: Mapping[str, Callable[..., Any]],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Returns the value of the pickle that begins at the position of `stream`, as `loads` does, but
    without the limit MAX_BYTES. Afterwards the stream is at the end of this pickle.

    `size`: the size of the whole file, in bytes. `persistent`: a function from a persistent id to
    the object that the id stands for. A pickle has such an id in place of an object that is stored
    outside the pickle. If `persistent` is None, a persistent id is an error.
    """
    try:
        value = _Unpickler(stream, allowed, persistent).load()
    except FileError:
        raise
    except Exception as error:  # "Note that other exceptions may also be raised" (pickle's manual)
        fault = f"the pickle is broken: {str(error).rstrip('.') or type(error).__name__:.200}."
        raise FileError(fault, fix="Copy the file again.") from None
    _check_size([value], max(MAX_GROWTH * size, FREE_SIZE), MAX_DEPTH)
    return value


class _Unpickler(pickle._Unpickler):
    """The Python version of the standard library's unpickler. The C version cannot be used: it
    hashes dict keys before they can be checked, and it allocates as much memory as a number in the
    file asks for."""

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
            raise FileError(
                "the pickle refers to objects outside it (persistent ids), which is not allowed.",
                fix=_FIX,
            )
        return self._persistent(pid)

    def find_class(self, module: str, name: str) -> Any:
        function = self._allowed.get(f"{module}.{name}")
        if function is None:
            raise FileError(
                f"the pickle uses {module:.80}.{name:.80}, which is not allowed.", fix=_FIX
            )
        return lambda *args: function(*args)  # a copy: the pickle may set attributes


class _Instructions(dict[int, Callable[..., Any]]):
    """Maps the code of each pickle instruction to the function that runs it, and counts the
    instructions that are run."""

    count = 0

    def __getitem__(self, code: int) -> Callable[..., Any]:
        self.count += 1
        if self.count > MAX_INSTRUCTIONS:
            raise FileError(
                f"the pickle has over {MAX_INSTRUCTIONS} instructions, which is the limit.",
                fix=_SPLIT,
            )
        if code not in self:
            raise FileError(
                f"the pickle uses the instruction {bytes([code])!r}, which is not allowed.",
                fix=_FIX,
            )
        return super().__getitem__(code)


def _checking_keys(code: bytes, keys: slice) -> Callable[..., Any]:
    """Returns a function that runs the pickle instruction `code` as the standard library does, but
    first checks dict keys: stack[keys] must be texts or whole numbers."""
    load = pickle._Unpickler.dispatch[code[0]]

    def checked(unpickler: Any) -> None:
        for key in unpickler.stack[keys]:
            if type(key) is not str and not (type(key) is int and abs(key) < MAX_KEY):
                size = f" and {key.bit_length()} bits" if type(key) is int else ""
                fault = f"the pickle has a dict key of type {type(key).__name__}{size}."
                raise FileError(fault, fix=f"Keys must be text, or whole numbers below {MAX_KEY}.")
        load(unpickler)

    return checked


_REFUSED = {  # they hash any value, allocate more memory than the file fills, or bypass find_class
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
    """Counts the values and characters in a list, tuple or dict, and in the lists, tuples and dicts
    within it. `left` is how many are still allowed. Returns `left` minus this count. Raises
    FileError if the result is negative, or if the nesting is deeper than `depth`."""
    is_dict = isinstance(container, dict)
    for value in chain(container, container.values()) if is_dict else container:
        left -= 1 + (len(value) if isinstance(value, str | bytes) else 0)
        if left < 0:
            raise _bomb(f"over {MAX_GROWTH} values and characters for each byte of its file")
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise _bomb(f"a number of {value.bit_length()} bits, over the limit of {MAX_BITS}")
        if isinstance(value, list | tuple | dict):
            if depth == 0:
                raise _bomb(f"lists, tuples or dicts that are nested over {MAX_DEPTH} deep")
            left = _check_size(value, left, depth - 1)
    return left


def _bomb(what: str) -> FileError:
    return FileError(
        f"the pickle has {what}.", fix="The file may be an attack: remove it from the input."
    )
