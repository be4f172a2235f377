"""The places of a journal's entries: those that a process has written are moved to arrays."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from recaption.client import journal as journals
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
