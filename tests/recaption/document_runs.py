"""Complete runs with steps that ask about documents, and what lies in their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from manifests.step import Executor
from manifests.storage import parts
from tests.recaption.endpoint import MODEL, Answer, Asked, Behaviour, Endpoint, reply
from tests.runs import caption_recipe, order_pass, part_tables, run_engine

TEXTS = [f"text {n}" for n in range(6)]


def run(
    base: Path, endpoint: Endpoint, name: str, executor: Executor | None = None, **settings: Any
) -> RunManifest:
    """Run the step `name` over the captions of `recaption_runs.write`."""
    step = {"model": MODEL, "endpoint": endpoint.url, "max_attempts": 2, **settings}
    recipe = caption_recipe(steps=[{name: step}])
    made = run_engine(recipe, base, base / "out", executor)
    assert verify(str(base / "out")).faults == []
    return made


def rows(base: Path, made: RunManifest) -> dict[str, dict[str, Any]]:
    """The records that are left, by their text."""
    tables = part_tables(base / "out", order_pass(made))
    found = [row for table in tables for row in table.to_pylist()]
    return {text_of(row): row for row in found}


def text_of(row: dict[str, Any]) -> str:
    return "".join(one["text"] for one in row["content"] if one["kind"] == "text")


def document_of(asked: Asked) -> str:
    """The text of the record in the prompts `judge` and `label`."""
    before, _, after = asked.text.partition("---\n")
    assert before
    return after.partition("\n---")[0]


def quarantine(base: Path) -> list[dict[str, Any]]:
    return parts.read_columns(str(base / "out" / "quarantine.arrow")).to_pylist()


def bad(text: str, good: Callable[[], Answer]) -> Behaviour:
    """A server whose reply about `text 0` is always `text`, and about `text 1` the first time."""

    def answer(asked: Asked) -> Answer:
        number = document_of(asked)
        is_bad = number == "text 0" or (number == "text 1" and asked.body["seed"] == 0)
        return reply(text) if is_bad else good()

    return answer
