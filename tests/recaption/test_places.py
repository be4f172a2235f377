"""The places of a journal's entries: those that a process has written are moved to arrays."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from recaption.client import journal as journals
from recaption.client.compaction import Compacted, compact
from recaption.client.journal import Journal


def key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def test_replies_are_found_after_their_places_were_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "OWN_PLACES", 10)
    before = Journal(str(tmp_path))
    before.add(key(1000), 200, "reply 1000", {})
    before.close()
    journal = Journal(str(tmp_path))
    for number in range(35):
        journal.add(key(number), 200, f"reply {number}", {})
        if number % 4 == 0:
            journal.sync()
    for number in (*range(35), 1000):
        entry = journal.get(key(number))
        assert entry is not None
        assert entry["body"] == f"reply {number}"
    assert key(35) not in journal
    assert len(journal._own) == 10  # number 25 to 34
    journal.close()


def test_keys_with_an_equal_half_are_different(tmp_path: Path) -> None:
    halves = [bytes([n]) * 8 for n in range(3)]
    keys = [high + low for high in halves for low in halves]
    journal = Journal(str(tmp_path))
    for one in keys[::2]:
        journal.add(one, 200, one.hex(), {})
    journal.close()
    found = {one: entry["body"] for one in keys if (entry := Journal(str(tmp_path)).get(one))}
    assert found == {one: one.hex() for one in keys[::2]}


def test_a_journal_that_is_compacted_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    for number in range(5):
        journal = Journal(str(tmp_path))
        journal.add(key(number), 200, f"reply {number}", {})
        journal.close()
    made = list[Compacted]()

    def compact_once(entry: dict[str, Any]) -> None:
        if not made:
            made.append(compact(str(tmp_path)))

    journal = Journal(str(tmp_path), compact_once)
    assert made == [(5, 1, 0, 0, 0)]
    assert [(journal.get(key(n)) or {}).get("body") for n in range(5)] == [
        f"reply {n}" for n in range(5)
    ]
