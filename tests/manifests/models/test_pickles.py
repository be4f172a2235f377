"""Pickles give plain data; nothing in them is run but what is allowed, and no bomb goes off."""

from __future__ import annotations

import collections
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import FileError
from manifests.models import pickles
from manifests.models.pickles import loads

PLAIN = [
    {"a": [1, -5, 2**40, 2**70, 1.5, True, False, None], "b": ("x", (), (1,), (1, 2), (1, 2, 3))},
    {"empty": [{}, [], ""], "text": "été 犬", 7: b"bytes"},
]
MERSENNE = (1 << 61) - 1
"""Whole numbers that differ by a multiple of it have one hash."""
HUGE = struct.pack("<Q", 2**40)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol_is_read_unchanged(protocol: int) -> None:
    value = PLAIN if protocol > 2 else [PLAIN[0], {"text": "été 犬"}]  # bytes are a call there
    assert loads(pickle.dumps(value, protocol)) == value


def test_text_of_python_2_is_latin_1() -> None:
    assert loads(b"(lp0\n(dp1\nS'sent'\np2\nS'caf\\xe9'\np3\nsa.") == [{"sent": "café"}]
    assert loads(b"\x80\x02]U\x04caf\xe9a.") == ["café"]


class _MakesFolder:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


class _Class:
    pass


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_called(
    tmp_path: Path, protocol: int
) -> None:
    data = pickle.dumps([_MakesFolder(tmp_path / "made")], protocol)
    with pytest.raises(FileError, match=r"the pickle uses (posix|nt)\.mkdir"):
        loads(data)
    assert not (tmp_path / "made").exists()
    pickle.loads(data)  # the library alone would have called it
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value", [_Class(), {1}, frozenset([1]), bytearray(b"a"), collections.OrderedDict(a=1), 1j, len]
)
def test_values_that_are_not_plain_are_refused(value: Any) -> None:
    with pytest.raises(FileError, match=r"the pickle uses "):
        loads(pickle.dumps([value], 5))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "uses os.system"),
        (b"(S'true'\nios\nsystem\n.", "uses os.system"),
        (b"(cos\nsystem\nS'true'\no.", "uses os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "uses os.system"),
        (b"P7\n.", "persistent id"),
        (b"\x82\x01.", r"the instruction b'\\x82'"),
        (b"]}U\x01aNsb.", "broken"),
        (b"]K\x01\x81.", "broken"),
        (b"\xfe.", r"the instruction b'\\xfe'"),
    ],
)
def test_an_instruction_that_would_reach_outside_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(FileError, match=fault):
        loads(data)


def test_what_is_allowed_is_called_in_place_of_the_name() -> None:
    data = pickle.dumps([collections.OrderedDict([("a", 1), ("b", 2)])])
    assert loads(data, {"collections.OrderedDict": dict}) == [{"a": 1, "b": 2}]
    with pytest.raises(FileError, match=r"uses collections\.OrderedDict"):
        loads(data, {"collections.Counter": dict, "OrderedDict": dict})


def test_a_pickle_cannot_change_what_is_allowed() -> None:
    def made(number: int = 1) -> int:
        return number

    sets_defaults = b"cm\nmade\nN}S'__defaults__'\nK\x07\x85s\x86b)R."
    assert loads(sets_defaults, {"m.made": made}) == 1
    assert made() == 1


@pytest.mark.parametrize("key", [("a",), 1.5, None, True, b"a", 2**31, -(2**31), (), 2**200])
def test_keys_are_text_or_small_whole_numbers(key: Any) -> None:
    for protocol in (0, 4):
        with pytest.raises(FileError, match=r"a dict key of type|uses _codecs\.encode"):
            loads(pickle.dumps({"a": 1, key: 2}, protocol))
    assert loads(pickle.dumps({2**31 - 1: [], -5: {}, "": 0})) == {2**31 - 1: [], -5: {}, "": 0}
    with pytest.raises(FileError, match="a dict key of type"):
        loads(b"(I1\nI2\nF1.5\nI2\nd.")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        pickle.dumps(["abc"] * 3, 2)[:-4],
        b"(lp0\n",
        b"a.",
        b"g9\n.",
        b"I1x\n.",
        b"L" + b"9" * 5000 + b"L\n.",
        b"}](]K\x01u.",
        b"\x80\x09.",
        b"\x8d" + struct.pack("<Q", 2**62) + b"abc.",
    ],
)
def test_a_broken_pickle_is_a_broken_file(data: bytes) -> None:
    with pytest.raises(FileError):
        loads(data)


def test_a_place_in_the_memo_asks_for_no_memory() -> None:
    assert loads(b"]r\xff\xff\xff\xff.") == []


def test_shared_values_are_read_wherever_they_occur() -> None:
    shared = {"name": 1}
    assert loads(pickle.dumps([shared] * 50)) == [shared] * 50


def test_a_pickle_over_a_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 9)
    with pytest.raises(FileError, match="over 9 instructions"):
        loads(pickle.dumps(PLAIN))
    monkeypatch.setattr(pickles, "MAX_BYTES", 20)
    with pytest.raises(FileError, match="over the limit of 20"):
        loads(pickle.dumps(PLAIN))


def _doubled(pair: bytes, first: bytes) -> bytes:
    """60 values, each a pair of the one before: the last unfolds to 2**60."""
    steps = (b"0h" + bytes([n]) + b"h" + bytes([n]) + pair + b"\x94" for n in range(60))
    return first + b"\x94" + b"".join(steps)


BOMBS = {
    "a deep key": (b"}" + b")" + b"\x85" * 400_000 + b"K\x01s.", "a dict key of type tuple"),
    "a key that unfolds": (b"})" + _doubled(b"\x86", b")")[1:] + b"K\x01s.", "of type tuple"),
    "a deep set": (b"\x8f(" + b")" + b"\x85" * 400_000 + b"\x90.", "the instruction"),
    "keys of one hash": (
        b"}("
        + b"".join(
            b"\x8a\x0d" + (n * MERSENNE).to_bytes(13, "little") + b"N" for n in range(60_000)
        )
        + b"u.",
        "a dict key of type int and 61 bits",
    ),
    "lists that unfold": (
        _doubled(b"\x86", b"]") + b".",
        "over 10 values and characters for each byte",
    ),
    "empty text that unfolds": (
        _doubled(b"\x86", b"\x8c\x00") + b".",
        "over 10 values and characters for each byte",
    ),
    "a text that repeats": (
        b"\x8d"
        + struct.pack("<Q", 1 << 20)
        + b"x" * (1 << 20)
        + b"\x940("
        + b"h\x00" * 99_999
        + b"t.",
        "over 10 values and characters for each byte",
    ),
    "a list that holds itself": (b"]\x94h\x00a.", "over 64 deep"),
    "deep lists": (b"]" * 1_000_000 + b"a" * 999_999 + b".", "over 64 deep"),
    "deep tuples": (b")" + b"\x85" * 1_000_000 + b".", "over 64 deep"),
    "a long number": (b"I0x" + b"f" * 1_000_000 + b"\n.", "a number of 4000000 bits"),
    "a long key": (b"}I0x" + b"f" * 1_000_000 + b"\nNs.", "a dict key of type int"),
    "a far place in the memo": (b"]r\xff\xff\xff\xffr\xfe\xff\xff\xffp4294967293\na.", "broken"),
    "bytes that are not there": (b"\x8e" + HUGE + b"a.", "broken"),
    "text that is not there": (b"\x8d" + HUGE + b"a.", "broken"),
    "a buffer that is not there": (b"\x96" + HUGE + b"a.", "the instruction"),
    "a frame that is not there": (b"\x80\x04\x95" + HUGE + b"N.", ""),
    "more lists than fit": (b"]" * 3_000_000, "broken"),
}
LOAD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
from manifests.errors import FileError
from manifests.models.pickles import loads
try:
    loads(sys.stdin.buffer.read())
except FileError as error:
    print(error)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time_and_memory(name: str) -> None:
    data, fault = BOMBS[name]
    ended = subprocess.run(
        [sys.executable, "-c", LOAD], input=data, capture_output=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert fault in ended.stdout.decode()
