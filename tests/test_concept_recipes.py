"""The recipes of concepts, `qwen3vl-captions` and `knowledge`, against the server of the demo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from curate import cli, demo
from curate.demo_server import MODEL, DemoServer
from tests.ingest.tars import shard
from tests.runs import FinishedRun, curate, last_answer, read_run
from tests.shipped_recipes import RECIPES


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(0).serving() as serving:
        monkeypatch.setenv("VLM_URL", serving.endpoint)
        monkeypatch.setenv("VLM_MODEL", MODEL)
        yield serving


def drawings(base: Path, captions: list[str]) -> None:
    (base / "data/web").mkdir(parents=True)
    members = [
        (f"{number}.{ending}", data)
        for number, caption in enumerate(captions)
        for ending, data in (("jpg", demo._drawing(number)[0]), ("txt", caption.encode()))
    ]
    shard(base / "data/web", members)


def run(name: str, base: Path, *settings: str) -> FinishedRun:
    options = [option for setting in settings for option in ("--set", setting)]
    command = ["run", str(RECIPES[name]), "-o", "out", "--inline", "-q", *options]
    assert curate(base, *command) == cli.OK
    assert curate(base, "verify", "out") == cli.OK
    return read_run(base / "out")


def test_knowledge_keeps_images_of_entities_and_describes_them(
    tmp_path: Path, server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTITIES", str(RECIPES["knowledge"].with_name("entities.csv")))
    about = [
        "a violin on a chair",
        "nothing that is known",
        "a giant panda",
        "寿司和茶",
        "a panda bear",
    ]
    drawings(tmp_path, about)
    made = run("knowledge", tmp_path, "steps.sample.records=3")
    assert server.answered == 3
    assert made.accounts["entities"][2] == {"too few entities": 1}
    assert made.accounts["sample"][2] == {"not in the sample": 1}
    for row in made.rows:
        assert row["raw_text"] in about
        assert row["entities.ids"]
        assert "pale image" in (last_answer(row) or "")


def test_qwen3vl_captions_runs_in_the_order_of_the_report(
    tmp_path: Path, server: DemoServer
) -> None:
    """The demo's server describes an image always alike: the step that asks again about sparse
    images gets the text that they have, asks once more, and keeps it."""
    drawings(tmp_path, [f"drawing number {number}" for number in range(60)])
    made = run(
        "qwen3vl-captions", tmp_path, "steps.cluster.k=4", "steps.cluster-2.k=6",
        "steps.duplicates-2.threshold=0.999", "steps.sample.share=1",
    )  # fmt: skip
    sparse = [row["id"] for row in made.rows if row["cluster-2.sparse"]]
    asked_again = [row["id"] for row in made.rows if row["recaption-2.status"] is not None]
    assert sparse == asked_again
    assert len(sparse) == round(0.1 * len(made.rows))
    assert {row["recaption.status"] for row in made.rows} == {"rewritten"}
    assert len(made.rows) == 60 - sum(made.accounts["duplicates-2"][2].values())
    assert server.answered == 60 + 2 * len(sparse)
