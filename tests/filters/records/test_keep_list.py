"""Lists of uids: written as DataComp's tools read them, searched exactly, refused if broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.records.keep_list import _FIX, KeepList
from manifests.errors import InputError, UnreadableError
from manifests.media import Media
from manifests.storage import keep_list
from tests.filters.rows import answers, text_records

numbers = st.one_of(
    st.integers(0, 2**128 - 1), st.integers(0, 40), st.integers(0, 40).map(lambda n: n << 64)
)


def uid(number: int) -> str:
    return f"{number:032x}"


def column(some: list[int]) -> pa.Array:
    return pa.array(map(uid, some), pa.string())


def parsed(some: list[int]) -> np.ndarray:
    return keep_list.parse_uids(column(some))


def with_meta(*metas: object) -> pa.Table:
    batch = text_records(*["x"] * len(metas))
    answer = [None if m is None else orjson.dumps(m).decode() for m in metas]
    return batch.set_column(batch.schema.get_field_index("meta"), "meta", pa.array(answer))


@given(st.lists(numbers, max_size=60), st.lists(numbers, max_size=20))
def test_a_list_contains_what_was_written_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, listed: list[int], others: list[int]
) -> None:
    path = str(tmp_path_factory.mktemp("lists") / "list.npy")
    assert keep_list.write_keep_list(path, parsed(listed)) == len(set(listed))
    uids = keep_list.read_keep_list(path)
    assert [(int(a) << 64) + int(b) for a, b in uids] == sorted(set(listed))
    wanted = listed + others
    found = keep_list.contains(uids, keep_list.parse_uids(column(wanted)))
    assert found.tolist() == [number in listed for number in wanted]


def test_the_file_is_what_numpy_saves_for_datacomp(tmp_path: Path) -> None:
    some = [3 << 64, 1, (7 << 64) + 5, 2**128 - 1]
    pairs = [(int(uid(n)[:16], 16), int(uid(n)[16:32], 16)) for n in some]
    theirs = np.array(pairs, np.dtype("u8,u8"))
    theirs.sort()
    np.save(tmp_path / "theirs.npy", theirs)
    keep_list.write_keep_list(str(tmp_path / "ours.npy"), parsed(some))
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_records_on_the_list_are_kept(tmp_path: Path) -> None:
    keep_list.write_keep_list(str(tmp_path / "list.npy"), parsed([10, 11, 2**100]))
    metas = ({"uid": uid(11)}, {"uid": uid(12)}, {"uid": uid(2**100).upper()}, {"url": "x"}, None)
    batch = with_meta(*metas, {"uid": "11"}, {"uid": 11}, [1])
    assert answers(KeepList(path="list.npy"), batch, Media(str(tmp_path))) == {
        "listed": [True, False, True, None, None, None, None, None],
        "drop": [None, "not on the list", None, *["no uid"] * 5],
        "error": [None] * 5 + [f"the uid '11' is not 32 hex digits. {_FIX}"] * 2 + [None],
    }


def test_an_empty_list_keeps_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "list.npy")
    keep_list.write_keep_list(path, parsed([]))
    answer = answers(KeepList(path=path), with_meta({"uid": uid(1)}, None))
    assert answer["drop"] == ["not on the list", "no uid"]


def test_a_rewritten_list_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "list.npy")
    keep_list.write_keep_list(path, parsed([1]))
    assert answers(KeepList(path=path), with_meta({"uid": uid(2)}))["drop"] == ["not on the list"]
    keep_list.write_keep_list(path, parsed([1, 2]))
    assert answers(KeepList(path=path), with_meta({"uid": uid(2)}))["drop"] == [None]


def test_the_list_is_part_of_the_step_s_identity() -> None:
    assert KeepList(path="lists/best.npy").files("data") == ("data/lists/best.npy",)


def test_files_that_are_no_keep_list_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.npy"
    with pytest.raises(InputError, match="there is no such keep list"):
        keep_list.read_keep_list(str(path))
    path.write_bytes(b"uid\n123\n")
    with pytest.raises(InputError, match=r"not a \.npy file"):
        keep_list.read_keep_list(str(path))
    np.save(path, np.arange(5))
    with pytest.raises(InputError, match="the array has dtype int64 and 1 dim"):
        keep_list.read_keep_list(str(path))
    np.save(path, np.array([(1, 2), (1, 3), (0, 9)], keep_list.DTYPE))
    with pytest.raises(InputError, match="uid 2 is less than the one before"):
        keep_list.read_keep_list(str(path))


def test_a_list_that_cannot_be_read_is_not_called_broken(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"Is a directory.*Check the disk"):
        keep_list.read_keep_list(str(tmp_path))


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "list.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a \.npy file"):
        keep_list.read_keep_list(str(path))
