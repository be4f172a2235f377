"""Request steps over texts against a real llama.cpp server, which CURATE_LLAMA names, such as
`http://127.0.0.1:8080/v1`. The server decides what the replies say; the tests look at all else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from manifests import record
from manifests.step import Context, GenerativeStep, Measured, Message, Reply, Request
from recaption.checks import fault_of
from tests.make import write_json_lines
from tests.recaption.recaption_runs import quarantine
from tests.runs import order_pass, part_tables, row_counts, run_steps

ENDPOINT = os.environ.get("CURATE_LLAMA", "")
TEXTS = [f"Boat {n} lies at the market by the river, and nobody is there." for n in range(24)]
pytestmark = pytest.mark.skipif(
    not ENDPOINT, reason="no llama.cpp server: set CURATE_LLAMA to its address, which ends in /v1"
)


class Rewrite(GenerativeStep):
    """Keep a reply to each text, and all that the server states with it."""

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        numbers = dict.fromkeys(("number", "input_tokens", "output_tokens"), pa.int32())
        return {**dict.fromkeys(("text", "finish", "model", "fault"), pa.string()), **numbers}

    def requests(self, batch: pa.Table, context: Context) -> list[Request | None]:
        question = "Write this sentence in other words: "
        texts = record.texts(batch["content"]).to_pylist()
        return [Request((Message("user", (question + text,)),), "rewrite 1") for text in texts]

    def fault(self, request: Request, reply: Reply) -> str | None:
        return fault_of(reply)

    def answer(self, batch: pa.Table, replies: Sequence[Reply | None]) -> Measured:
        return Measured({
            name: pa.array([r and getattr(r, name) for r in replies], kind)
            for name, kind in self.measures().items()
        })  # fmt: skip


def rows(base: Path, step: dict[str, Any], out: str = "out") -> list[dict[str, Any]]:
    """The records that a step keeps, in a run that verifies."""
    [(name, settings)] = step.items()
    common = {"endpoint": ENDPOINT, "model": "any", "max_concurrent": 32}
    made = run_steps(base, out, {name: {**common, **settings}})
    return [row for t in part_tables(base / out, order_pass(made)) for row in t.to_pylist()]


def rewrite(**settings: Any) -> dict[str, Any]:
    return {f"{__name__}:Rewrite": settings}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    write_json_lines(tmp_path / "data" / "0.jsonl", [{"text": text} for text in TEXTS])
    return tmp_path


def test_more_requests_than_the_server_has_slots_are_all_answered_and_paid_once(
    texts: Path,
) -> None:
    found = rows(texts, rewrite(max_tokens=60))
    assert len(found) == len(TEXTS)
    for row in found:
        assert row["Rewrite.finish"] in ("stop", "length")
        assert row["Rewrite.fault"] != "empty"
        assert row["Rewrite.input_tokens"] > 10
        assert 0 < row["Rewrite.output_tokens"] <= 60
        assert row["Rewrite.model"]
    [journal] = (texts / "journal").iterdir()
    replies = journal.read_bytes().count(b'"body":')
    assert replies == sum(row["Rewrite.number"] for row in found)
    again = rows(texts, rewrite(max_tokens=60), out="again")
    assert again == found
    assert sum(f.read_bytes().count(b'"body":') for f in (texts / "journal").iterdir()) == replies


def test_a_reply_that_max_tokens_cuts_off_is_asked_again_and_recorded(texts: Path) -> None:
    for row in rows(texts, rewrite(max_tokens=2)):
        assert (row["Rewrite.finish"], row["Rewrite.fault"]) == ("length", "cut off")
        assert (row["Rewrite.number"], row["Rewrite.output_tokens"]) == (2, 2)


def test_a_text_longer_than_the_context_is_quarantined_with_the_server_s_message(
    texts: Path,
) -> None:
    long = "word " * 500_000
    write_json_lines(texts / "data" / "1.jsonl", [{"text": long}, {"text": TEXTS[0]}])
    made = run_steps(texts, "out", rewrite(endpoint=ENDPOINT, model="any", max_tokens=8))
    assert row_counts(made)["Rewrite"] == (26, 25, {}, {"ReplyError": 1})
    [fault] = quarantine(texts)
    assert "HTTP 400" in fault["message"]
    assert "exceeds the available context size" in fault["message"]


def test_a_schema_is_obeyed(texts: Path) -> None:
    labels = {"water": "A river or a boat.", "street": "A market or a house."}
    for row in rows(texts, {"label": {"labels": labels, "max_tokens": 64}}):
        assert row["label.status"] in ("labelled", "cut off")
        assert row["label.label"] in (*labels, None)
