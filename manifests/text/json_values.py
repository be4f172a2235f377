"""Parses and writes JSON, so that all readers get the same values from the same JSON text.

orjson parses most texts. Python's `json`, which is slower, parses the texts that orjson cannot
represent exactly: texts with whole numbers over 64 bits, with NaN or Infinity, or with keys that
occur twice.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import orjson

from manifests.errors import RowError

MAX_DEPTH = 200
"""Deepest nesting of brackets in a JSON text (our choice: orjson writes 254 levels, and a record is
itself nested in the files that are written)."""
MAX_VALUES = 4_000_000
"""Largest number of lists, objects and keys in a JSON text (our choice): in memory, each of them
needs up to 50 times the bytes of its text."""
_MAX_DIGITS = 4300
"""The largest number of digits that Python converts to an int; a longer number is kept as text."""
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# With each digit written as 0: the numbers that may be outside -2**63 to 2**64 - 1.
_LONG = (b"0" * 20, b"-" + b"0" * 19)
_BLANK_BEFORE_COLON = re.compile(rb'"[ \t\r\n]+:')
_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_FIX = "Repair the JSON."


def parse_json(data: bytes | memoryview) -> Any:
    """Returns the value of a JSON text: whole numbers of any length (as text if they have more than
    4300 digits), and None for null, NaN, Infinity and numbers too large for a float.

    `b'{"n": 18446744073709551616, "x": NaN}'` -> `{"n": 18446744073709551616, "x": None}`. A byte
    order mark is ignored. Raises RowError if the text is not JSON, if an object has a key twice
    with different values, if brackets are nested deeper than MAX_DEPTH, if there are more than
    MAX_VALUES brackets and keys, or if a `\\u` escape is one half of a surrogate pair.
    """
    data = bytes(data).removeprefix(codecs.BOM_UTF8)
    _check_size(data)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _parse_exactly(data, error)
    return _checked(data, value)


def parse_objects(texts: list[bytes]) -> list[Any | RowError]:
    """Returns the value of each JSON text, or the RowError that `parse_json` raises for the text.
    Texts of objects without nested values are checked together, which is faster."""
    if max(map(len, texts), default=0) > MAX_VALUES:
        return [_value_or_error(text) for text in texts]
    try:
        values = [orjson.loads(text) for text in texts]
    except orjson.JSONDecodeError:
        return [_value_or_error(text) for text in texts]
    text = b"\n".join(texts)
    if not all(type(value) is dict for value in values) or not _are_flat(text, values):
        return [_checked_or_error(*pair) for pair in zip(texts, values, strict=True)]
    for number in _with_long_numbers(text, texts):
        values[number] = _value_or_error(texts[number])
    return values


def dump_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Returns a value as JSON text: whole numbers of any length digit by digit, NaN and Infinity as
    null. `default` converts values of types that JSON does not have, as in `json.dumps`.

    Raises RowError if the value is nested too deeply, contains one half of a surrogate pair, or a
    value or key of a type that JSON does not have and `default` does not convert.
    """
    try:
        return orjson.dumps(value, default=default).decode()
    except TypeError:
        pass
    try:
        return orjson.dumps(_without_long_numbers(value), default=default).decode()
    except (TypeError, RecursionError) as error:
        fault = f"the fields cannot be stored as JSON: {error}."
        raise RowError(fault, fix="Change these fields, or leave them out.") from None


def dump_each(values: list[Any], default: Callable[[Any], Any] | None = None) -> list[str]:
    """Returns each value as JSON text, as `dump_json` does, but faster for many values."""
    try:
        return [orjson.dumps(value, default).decode() for value in values]
    except TypeError:
        return [dump_json(value, default) for value in values]


def error_in(place: str, error: RowError) -> RowError:
    """Returns the same error with a longer message: `place`, such as `line 3`, then the fault:
    `line 3, key 'a': ...`."""
    return RowError(f"{place}, {error.fault}", fix=error.fix)


def _without_long_numbers(value: Any) -> Any:
    """Returns the same value, but with each whole number over 64 bits replaced by an
    `orjson.Fragment`: orjson cannot write such numbers, but it copies the digits of a fragment into
    its output."""
    if isinstance(value, dict):
        return {key: _without_long_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_long_numbers(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return orjson.Fragment(str(value))
    return value


def _value_or_error(text: bytes) -> Any | RowError:
    try:
        return parse_json(text)
    except RowError as error:
        return error


def _checked_or_error(text: bytes, value: Any) -> Any | RowError:
    try:
        return _checked(text, value)
    except RowError as error:
        return error


def _are_flat(text: bytes, values: list[dict[str, Any]]) -> bool:
    """Returns whether all JSON objects in `text` are certainly simple: no nested value, no key
    twice, no blank before a colon. `values` are the parsed objects.

    Each key is followed by at least one `":`. So if `text` has as many `":` as the objects have
    distinct keys, no key occurs twice.
    """
    codes = np.frombuffer(text, np.uint8)
    is_colon, before = codes[1:] == ord(":"), codes[:-1]
    return bool(
        np.count_nonzero(codes | 0x20 == ord("{")) == len(values)  # 0x20 makes [ to {
        and not ((before <= ord(" ")) & is_colon).any()
        and np.count_nonzero((before == ord('"')) & is_colon) == sum(map(len, values))
    )


def _with_long_numbers(text: bytes, texts: list[bytes]) -> list[int]:
    """Returns the indexes of the texts in `texts` that may have a number over 64 bits. `text` is
    all these texts, joined by newlines."""
    if not _may_have_long_number(np.frombuffer(text, np.uint8)):
        return []
    digits = text.translate(_ZEROS)
    ends = np.cumsum([len(one) + 1 for one in texts])
    found = list[int]()
    for run in _LONG:
        at = -1
        while (at := digits.find(run, at + 1)) >= 0:
            found.append(int(np.searchsorted(ends, at, side="right")))
            at = int(ends[found[-1]]) - 1
    return found


def _may_have_long_number(codes: np.ndarray) -> bool:
    """Returns whether a text may contain 19 digits or more in a row, as a number over 64 bits has.
    `codes` are the bytes of the text. Only every fifth byte is read: 19 digits in a row contain at
    least three of the bytes that are read."""
    is_digit = codes[::5] - ord("0") < 10
    return bool((is_digit[:-2] & is_digit[1:-1] & is_digit[2:]).any())


def _checked(data: bytes, value: Any) -> Any:
    """Returns the exact value of the JSON text `data`: `value`, which orjson parsed from it, or the
    result of a second parse if a number is too long for orjson or a key occurs twice."""
    opened = data.count(b"{") + data.count(b"[")
    if opened > MAX_DEPTH:
        _check_depth(value)
    has_keys_twice = _BLANK_BEFORE_COLON.search(data) or data.count(b'":') != _count_keys(value)
    if has_keys_twice or _has_long_number(data):
        return _parse_exactly(data, None)
    return value


def _has_long_number(data: bytes) -> bool:
    digits = data.translate(_ZEROS)
    return any(run in digits for run in _LONG)


def _count_keys(value: Any) -> int:
    if type(value) is dict:
        nested = [v for v in value.values() if type(v) is dict or type(v) is list]
        return len(value) + sum(map(_count_keys, nested))
    if type(value) is list:
        return sum(_count_keys(v) for v in value if type(v) is dict or type(v) is list)
    return 0


def _check_size(data: bytes) -> None:
    """Raises RowError if a text has more than MAX_VALUES lists, objects and keys. The text is not
    yet parsed, so brackets and colons in strings are counted too."""
    if len(data) <= MAX_VALUES:  # each has a byte at least
        return
    found = data.count(b"[") + data.count(b"{") + data.count(b'":')
    if found > MAX_VALUES:
        fault = f"size: it has {found} brackets and keys, more than the limit of {MAX_VALUES}."
        raise RowError(fault, fix="Divide the record into several, or leave out what is not used.")


def _check_depth(value: Any) -> None:
    """Raises RowError if a value is nested deeper than MAX_DEPTH. The check goes level by level,
    without recursion."""
    level, depth = [value], 0
    while level := [v for v in level if type(v) is dict or type(v) is list]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = [v for item in level for v in (item.values() if type(item) is dict else item)]


def _too_deep() -> RowError:
    fault = f"nesting: the brackets are nested deeper than the limit of {MAX_DEPTH}."
    return RowError(fault, fix="Nest the fields less deeply.")


def _parse_exactly(data: bytes, strict: orjson.JSONDecodeError | None) -> Any:
    """Parses a JSON text that orjson rejects or cannot represent exactly. NaN, Infinity and a
    number too large for a float become None; a whole number of too many digits becomes text. Raises
    RowError for other faults. `strict` is orjson's error, None if orjson did not reject the text.
    The RowError shows orjson's error, unless that error was raised for a value that is allowed
    here, such as NaN."""
    text = _decoded(data)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_null,
        )
        _check_depth(value)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise _broken(text, strict, error) from None
    _check_characters(text, value)
    return value


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        fault = f"byte {error.start}: 0x{data[error.start]:02x} is not UTF-8."
        raise RowError(fault, fix="Convert the file to UTF-8.") from None


def _broken(
    text: str, strict: orjson.JSONDecodeError | None, error: json.JSONDecodeError
) -> RowError:
    found = strict if strict and strict.pos >= error.pos else error
    before = text[: found.pos][-30:]
    fault = f"character {found.pos}: broken JSON: {found.msg}, after {before!r}."
    return RowError(fault, fix=_FIX)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, value in pairs:
            if not _are_same(value, found[name]):
                fault = f"key {name!r}: it occurs twice in one object, with {value!r:.40}"
                raise RowError(f"{fault} and {found[name]!r:.40}.", fix="Write each key once.")
    return found


def _are_same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _null(_: str) -> None:
    return None


def _check_characters(text: str, value: Any) -> None:
    """Raises RowError for one half of a surrogate pair, such as the escape `\\ud83d` alone."""
    escapes: Iterable[re.Match[str]] = _HALF.finditer(text)
    found = next(iter(escapes), None)
    if found is None:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start]).strip("'")
        fault = f"text {half}: this escape is half of a character (a lone surrogate)."
        raise RowError(fault, fix="Write the character itself, or leave the escape out.") from None
