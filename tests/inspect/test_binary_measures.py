"""Measures of bytes, such as small colour images, are shown by their size."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from curate.cli import OK, run
from tests.make import make_image
from tests.runs import run_recipe

Capture = pytest.CaptureFixture[str]


def printed(base: Path, capsys: Capture, *arguments: str) -> str:
    with contextlib.chdir(base):
        assert run([*arguments]) == OK
    return capsys.readouterr().out


def test_bytes_are_shown_by_their_size(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(make_image(64, 48))
    source = {"name": "photos", "reader": "folder", "path": "photos"}
    run_recipe(tmp_path, source, steps=["image_hash"])
    assert "image_hash.colours: ['192 bytes']" in printed(tmp_path, capsys, "show", "out")
    (row,) = json.loads(printed(tmp_path, capsys, "show", "out", "--json"))
    assert row["image_hash.colours"] == ["192 bytes"]
    shown = printed(tmp_path, capsys, "explain", "out", row["id"])
    assert "image_hash.colours ['192 bytes']" in shown
    explained = json.loads(printed(tmp_path, capsys, "explain", "out", row["id"], "--json"))
    (facts,) = [e["facts"] for e in explained["events"] if e["step"] == "image_hash"]
    assert facts["image_hash.colours"] == ["192 bytes"]
