"""Python pickles of plain data, read without running anything that they name.

A pickle is a program. Only instructions that make lists, tuples, dicts, text, bytes, numbers,
booleans and None are obeyed here; the first other one, above all those that import or call
something, refuses the file. Pickles of Python 2 have their text read as Latin-1.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

from manifests.errors import FileError

MOST_BYTES = 256 << 20
"""A larger pickle is refused (ours: those of RefCOCO are under 100 MB): it is held whole."""
MOST_TIMES = 100
"""What is shared counts wherever it stands; it may all come to so many times the file (ours)."""
_WANTED = "only lists, tuples, dicts, text, numbers, booleans and None are read."

_OBEYED = (
    "PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "DUP", "MEMOIZE", "PUT", "BINPUT",
    "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT",
    "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS",
)  # fmt: skip


def _codes() -> list[int]:
    """The instructions that are obeyed, as bytes of a pickle."""
    return [getattr(pickle, name)[0] for name in _OBEYED]


class _Instructions(dict[int, Callable[..., Any]]):
    """What to do for each instruction; FileError for one that is not obeyed."""

    def __missing__(self, code: int) -> Callable[..., Any]:
        names = {ord(known.code): known.name for known in pickletools.opcodes}
        raise FileError(
            f"a pickle that is more than data: instruction {names.get(code, code)}.",
            fix=f"Nothing in a pickle is run; {_WANTED}",
        )


class _Plain(pickle._Unpickler):
    """The library's unpickler in Python: its memo is a dict, so no number in a file makes it ask
    for memory that the file does not fill."""

    dispatch = _Instructions({code: pickle._Unpickler.dispatch[code] for code in _codes()})

    def find_class(self, module: str, name: str) -> Any:
        raise FileError(
            f"a pickle that names {module}.{name}.", fix=f"Nothing is imported; {_WANTED}"
        )


def loads(data: bytes) -> Any:
    """The value of a pickle. Raises FileError for one that is broken, too large, or no plain data.

    Lists and dicts may stand in several places, but not so that walking through them would take
    far longer than reading the file.
    """
    if len(data) > MOST_BYTES:
        raise FileError(f"a pickle of {len(data)} bytes is over the limit of {MOST_BYTES}.")
    try:
        value = _Plain(io.BytesIO(data), encoding="latin1").load()
    except FileError:
        raise
    except _BROKEN as error:
        told = f"a broken pickle: {str(error).rstrip('.') or type(error).__name__}."
        raise FileError(told, fix="Copy it again.") from None
    _walk(value, MOST_TIMES * len(data))
    return value


_BROKEN = (
    pickle.UnpicklingError, EOFError, ArithmeticError, AssertionError, AttributeError, LookupError,
    MemoryError, TypeError, ValueError,
)  # fmt: skip
"""What an unpickler meets in a file whose instructions do not fit each other."""


def _walk(value: Any, most: int) -> None:
    """FileError where there is more to walk through than `most` characters and values."""
    left, waiting = most, [value]
    while waiting and left >= 0:
        one = waiting.pop()
        for child in one if isinstance(one, list | tuple) else _members(one):
            left -= 1
            if isinstance(child, str | bytes):
                left -= len(child)
            elif isinstance(child, list | tuple | dict):
                waiting.append(child)
    if left < 0:
        raise FileError(
            f"a pickle that unfolds to over {MOST_TIMES} times its size.",
            fix="It holds itself, or is made to fill a memory; leave it out of the path.",
        )


def _members(value: Any) -> list[Any]:
    return [*value.keys(), *value.values()] if isinstance(value, dict) else []
