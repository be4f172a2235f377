"""A cluster of two nodes that were started in other folders than the command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.cli import OK
from tests.make import write_captions
from tests.runs import caption_recipe, curate, file_bytes, write_recipe

NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster whose workers run in the folders `head` and `second`."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for name in ("head", "second"):
        (tmp_path / name).mkdir()
        with contextlib.chdir(tmp_path / name):
            cluster.add_node(**NODE)
    yield cluster.address
    cluster.shutdown()


def test_relative_folders_start_where_the_command_runs(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "here"
    write_captions(base / "data", files=4, rows=20)
    steps = [{"words": {"min": 5}}, {"duplicates": {"by": "text", "index": True}}]
    recipe = caption_recipe(steps=steps)
    write_recipe(base, *recipe["sources"], steps=steps, seed=17)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "-q", "--address", address) == OK
    assert curate(base, "distinct", "out", "-q", "--address", address) == OK
    assert curate(base, "rerun", "out", "-q", "--address", address, "--base", ".") == OK
    assert curate(base, "run", "recipe.yaml", "-o", "inline", "-q", "--inline") == OK
    assert file_bytes(base / "out") == file_bytes(base / "inline") == file_bytes(base / "out-rerun")
    assert [*(tmp_path / "head").iterdir(), *(tmp_path / "second").iterdir()] == []
