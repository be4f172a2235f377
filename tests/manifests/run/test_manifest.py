"""Ledgers add and balance; a manifest that was edited, or is of an older version, is refused."""

from __future__ import annotations

import inspect
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import errors
from manifests.errors import CurateError, ManifestError
from manifests.run import ledger, manifest
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account
from manifests.run.manifest import Commit, PassManifest
from manifests.storage.file_entry import FileEntry

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9))


@st.composite
def balanced(draw: st.DrawFn) -> Account:
    dropped, lost, kept = draw(COUNTS), draw(COUNTS), draw(st.integers(0, 9))
    rows_in = kept + sum(dropped.values()) + sum(lost.values())
    return Account(step="s", rows_in=rows_in, kept=kept, dropped=dropped, quarantined=lost)


@given(balanced(), balanced(), balanced())
def test_accounts_add_in_any_order_and_stay_balanced(a: Account, b: Account, c: Account) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert (a + b).balances


def test_a_lost_row_is_an_error_that_names_the_step() -> None:
    with pytest.raises(
        ManifestError, match="step words got 3 rows and made 0, but kept 2 and removed 0"
    ):
        ledger.check([Account(step="words", rows_in=3, kept=2)], "x")


def test_a_manifest_that_was_edited_is_refused(tmp_path: Path) -> None:
    entry = FileEntry(name="p.arrow", rows=1, size_bytes=2, digest="d")
    commit = Commit(part="p", inputs_digest="t", rows=1, files=[entry])
    written = PassManifest(name="n", kind="rows", fingerprint="f", parts=[commit], ledger=[])
    path = tmp_path / "manifest.json"
    manifest.save(written, str(path))
    assert manifest.load_pass(str(tmp_path)) == written
    content = json.loads(path.read_text())
    content["parts"][0]["files"][0]["digest"] = "other"
    path.write_text(json.dumps(content))
    with pytest.raises(
        ManifestError, match="the checksum in the manifest does not match its content"
    ):
        manifest.load_pass(str(tmp_path))


def test_the_manifest_of_an_older_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"format": 1, "recipe": {}, "digest": "d"}))
    with pytest.raises(ManifestError, match=r"the manifest has format 1.*with a new output folder"):
        manifest.load_run(str(path))


def test_a_commit_cut_short_is_no_commit(tmp_path: Path) -> None:
    commit = Commit(part="p", inputs_digest="t", rows=1, files=[])
    path = tmp_path / "p.json"
    manifest.save(commit, str(path))
    assert manifest.load_commit(str(path)) == commit
    path.write_text(path.read_text()[:-20])
    assert manifest.load_commit(str(path)) is None


def test_a_fingerprint_depends_on_content_and_not_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint("ü\ud800")) == 16


@pytest.mark.parametrize(
    "kind",
    [k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, CurateError)],
)
def test_every_error_can_be_pickled(kind: type[CurateError]) -> None:
    error = kind("the fault.", "the place", "The fix.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.fault, again.place, again.fix) == (error.fault, error.place, error.fix)
    assert str(again) == "the place: the fault. The fix."


def test_a_run_that_has_not_finished_is_refused_by_that_name(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="this is not the folder of a finished run"):
        manifest.load_run(str(tmp_path))
    (tmp_path / "steps").mkdir()
    for place in (tmp_path, tmp_path / "manifest.json"):
        with pytest.raises(ManifestError, match=r"has not finished.* run the same command again"):
            manifest.load_run(str(place))
