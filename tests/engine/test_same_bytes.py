"""The bytes of a run depend on its data and recipe, not on the folder, the time or the executor."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from curate import demo
from curate import recipe as recipes
from curate.demo_server import DemoServer
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.ray import RayExecutor
from curate.engine.run import Run
from manifests.run.manifest import load_run
from manifests.step import Executor
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, run_engine

HOST = "a-machine-named-4711"
MADE_OF_TIMES = re.compile(r"steps/00-[^/]+/(splits|manifest|part-[0-9a-f]+)\.json")
"""Files of a read that state when the input files were modified."""


def duplicates(by: str, **settings: Any) -> dict[str, Any]:
    steps = [{"words": {"min": 2}}, {"duplicates": {"by": by, **settings}}]
    made = caption_recipe("captions/*.jsonl", steps=steps)
    made["sources"][0]["media_root"] = "captions"
    return made


def make(base: Path, endpoint: str) -> None:
    """The data of all recipes."""
    demo.make(str(base), endpoint)
    write_captions(base / "captions", files=3, rows=20)


def run_all(base: Path, executor: Executor) -> None:
    """The demo, and two recipes of duplicates: the second compares with the index of the first."""
    loaded = recipes.load(str(base / "recipe.yaml"), base=str(base))
    Run(loaded, str(base / "out"), executor, Progress(quiet=True))()
    run_engine(duplicates("minhash", index=True), base, base / "first", executor)
    again = duplicates("minhash", against=["first"])
    run_engine(again, base, base / "second", executor)


RUNS = ("out", "first", "second")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("one")
    with pytest.MonkeyPatch.context() as patched, DemoServer(0).serving() as server:
        make(base, server.endpoint)
        patched.setattr(socket, "gethostname", lambda: HOST)
        run_all(base, Inline())
    return base


def copy(one: Path, base: Path) -> Path:
    """The data of a corpus, and the journal of its run, in another folder."""
    shutil.copytree(one, base, ignore=shutil.ignore_patterns(*RUNS))
    return base


def digests(base: Path) -> dict[str, str]:
    return {name: load_run(str(base / name)).digest for name in RUNS}


def contents(base: Path) -> dict[str, bytes]:
    return {
        f"{name}/{file}": data for name in RUNS for file, data in file_bytes(base / name).items()
    }


def without_times(files: dict[str, bytes]) -> dict[str, bytes]:
    return {n: data for n, data in files.items() if not MADE_OF_TIMES.search(n)}


def test_another_folder_and_another_time_make_the_same_bytes(one: Path, tmp_path: Path) -> None:
    two = copy(one, tmp_path / "far" / "away")
    run_all(two, Inline())
    assert digests(two) == digests(one)
    assert contents(two) == contents(one)


def test_files_modified_at_other_times_make_the_same_bytes(one: Path, tmp_path: Path) -> None:
    two = copy(one, tmp_path / "copied")
    for path in two.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    run_all(two, Inline())
    assert digests(two) == digests(one)
    assert without_times(contents(two)) == without_times(contents(one))


def test_ray_makes_the_same_bytes_in_another_folder(one: Path, tmp_path: Path, ray: None) -> None:
    two = copy(one, tmp_path / "by-ray")
    with RayExecutor(workers=3) as executor:
        run_all(two, executor)
    assert digests(two) == digests(one)
    assert contents(two) == contents(one)


def test_no_file_of_a_run_has_a_path_of_the_machine_its_name_or_an_address(one: Path) -> None:
    machine = [str(one), one.name, HOST, "0x7f", str(Path.home()), str(Path(__file__).parent)]
    found = [
        (name, text)
        for name, data in contents(one).items()
        for text in machine
        if name.endswith((".json", ".arrow")) and text.encode() in data
    ]
    assert found == []
