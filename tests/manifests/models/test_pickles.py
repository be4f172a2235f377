"""Pickles give plain data, and nothing in them is run, however they are made."""

from __future__ import annotations

import collections
import os
import pickle
import struct
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


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol_is_read_as_it_was(protocol: int) -> None:
    value = PLAIN if protocol > 2 else [PLAIN[0], {"text": "été 犬"}]  # bytes call something there
    assert loads(pickle.dumps(value, protocol)) == value


def test_text_of_python_2_is_latin_1() -> None:
    assert loads(b"(lp0\n(dp1\nS'sent'\np2\nS'caf\\xe9'\np3\nsa.") == [{"sent": "café"}]
    assert loads(b"\x80\x02]U\x04caf\xe9a.") == ["café"]


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


class _Plain:
    pass


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_nothing_is_called(
    tmp_path: Path, protocol: int
) -> None:
    data = pickle.dumps([_Runs(tmp_path / "made")], protocol)
    with pytest.raises(FileError, match=r"more than data: instruction (STACK_)?GLOBAL"):
        loads(data)
    assert not (tmp_path / "made").exists()
    pickle.loads(data)  # it would have
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value", [_Plain(), {1}, frozenset([1]), bytearray(b"a"), collections.OrderedDict(a=1), 1j, len]
)
def test_values_that_are_not_plain_are_refused(value: Any) -> None:
    with pytest.raises(FileError, match="more than data: instruction"):
        loads(pickle.dumps([value], 5))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "GLOBAL"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"P7\n.", "PERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"]}b.", "BUILD"),
        (b"\xfe.", "254"),
    ],
)
def test_the_instruction_that_is_not_obeyed_is_named(data: bytes, name: str) -> None:
    with pytest.raises(FileError, match=f"instruction {name}"):
        loads(data)


def test_every_instruction_that_imports_calls_or_reaches_outside_is_left_out() -> None:
    kept = set(pickles._OBEYED)
    assert kept.isdisjoint(
        {
            "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX",
            "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER",
        }
    )  # fmt: skip


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


def test_what_unfolds_far_beyond_its_size_or_holds_itself_is_refused() -> None:
    grown: list[Any] = ["x" * 10]
    for _ in range(12):
        grown = [grown] * 10
    itself: list[Any] = []
    itself.append(itself)
    for value in (grown, itself):
        with pytest.raises(FileError, match="unfolds to over 100 times"):
            loads(pickle.dumps(value))
    shared = {"name": 1}
    assert loads(pickle.dumps([shared] * 50)) == [shared] * 50


def test_a_pickle_over_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MOST_BYTES", 20)
    with pytest.raises(FileError, match="over the limit of 20"):
        loads(pickle.dumps(PLAIN))
