"""`curate diff`: what differs between two runs, also if it is in no shard."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from curate.inspect.compare import Difference, differences
from manifests.step import Columns, Context, Corpus, CorpusStep, Outcome, RowStep, Workspace
from tests.make import write_texts
from tests.runs import run_steps

VALUE = 1
HERE = "tests.inspect.test_compare:"


class Cheap(RowStep):
    """Measure what this module states, which is no setting."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"value": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"value": pa.repeat(VALUE, batch.num_rows)}


class Costly(Cheap):
    """As `Cheap`, in passes of its own."""

    costs: ClassVar[bool] = True


class OfCorpus(CorpusStep):
    """As `Cheap`, as a corpus step."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"value": pa.int64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> None:
        return None

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        assert context.part is not None
        return Outcome({"value": pa.repeat(VALUE, context.part.rows)}, None)


def two_runs(base: Path, monkeypatch: pytest.MonkeyPatch, *steps: dict[str, Any]) -> None:
    """Run the steps into `a`, and with another value to measure into `b`."""
    write_texts(base / "data", ["one", "two", "three"], 1)
    run_steps(base, "a", *steps)
    monkeypatch.setattr(sys.modules[__name__], "VALUE", 2)
    run_steps(base, "b", *steps)


def found(base: Path) -> list[Difference]:
    return differences(str(base / "a"), str(base / "b"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Cheap", "02-Cheap"), ("Costly", "02-Costly-measures"), ("OfCorpus", "02-OfCorpus")],
)
def test_the_first_pass_and_part_that_differ_are_named_if_no_shard_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    two_runs(tmp_path, monkeypatch, {"words": {}}, {"tests.engine.pieces:Longest": {}},
             {HERE + kind: {}})  # fmt: skip
    name = name.replace("02", "03")
    [one] = found(tmp_path)
    assert one.what.startswith(f"pass {name} file part-")
    assert one.what.endswith(".arrow")
    assert one.here != one.there


def test_a_step_of_another_version_is_named_even_if_it_answers_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "data", ["one"], 1)
    run_steps(tmp_path, "a", {HERE + "Cheap": {}}, {"words": {}})
    monkeypatch.setattr(Cheap, "version", 2)
    run_steps(tmp_path, "b", {HERE + "Cheap": {}}, {"words": {}})
    assert found(tmp_path)[0] == Difference("step Cheap version", 1, 2)


def test_runs_with_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    write_texts(tmp_path / "data", ["one"], 1)
    run_steps(tmp_path, "a", {HERE + "Costly": {}})
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert found(tmp_path) == []
