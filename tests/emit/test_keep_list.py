"""Keep lists: the uids of the survivors, sorted, as any numpy program reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.storage.keep_list import DTYPE
from tests.emit.records import records, row, text, write, write_all


def pairs(uids: list[str]) -> list[tuple[int, int]]:
    return sorted({(int(uid[:16], 16), int(uid[16:], 16)) for uid in uids})


@settings(max_examples=15)
@given(st.lists(st.integers(0, 2**128 - 1), max_size=20), st.integers(1, 4))
def test_the_list_holds_the_uids_of_all_shards_once_and_sorted(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], count: int
) -> None:
    folder = tmp_path_factory.mktemp("uids")
    uids = [f"{n:032x}" for n in numbers]
    rows = [row(f"{n}", [text("t")], meta=json.dumps({"uid": u})) for n, u in enumerate(uids)]
    commits, files = write_all("keep_list", folder, records(*rows), count)
    found = np.load(folder / "out" / "keep_list.npy")
    assert found.dtype == DTYPE
    assert found.tolist() == pairs(uids)
    assert sum(commit.rows for commit in commits) == len(uids)
    assert [(f.name, f.rows) for f in files] == [
        ("keep_list.npy", len(set(uids))), ("shards.json", 0)
    ]  # fmt: skip


def test_a_record_without_a_uid_is_quarantined(tmp_path: Path) -> None:
    good = "0123456789ABCDEF0123456789abcdef"
    metas = [json.dumps({"uid": good}), json.dumps({"uid": "12"}), "{}", None, "[1]", "not JSON"]
    table = records(*(row(f"{n}", [text("t")], meta=m) for n, m in enumerate(metas)))
    commit = write("keep_list", tmp_path, table)
    assert commit.rows == 1
    no_uid = "the record's `meta` has no `uid`, so the record cannot be in a keep list"
    assert [(q.origin, q.error, q.message) for q in commit.quarantined] == [
        (
            "in#1",
            "RowError",
            (
                "the uid 12 of the record is not 32 hex digits, so the record cannot be in a keep "
                "list"
            ),
        ),
        *((f"in#{n}", "RowError", no_uid) for n in range(2, 6)),
    ]
    assert np.load(tmp_path / "out" / "data-00000-of-00001.npy").tolist() == pairs([good])
