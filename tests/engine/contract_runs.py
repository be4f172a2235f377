"""Runs of the steps in `contract_steps` and `failing_steps` over a thousand texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manifests.run.manifest import RunManifest, load_run
from manifests.run.verify import verify
from manifests.storage import parts
from tests.make import write_captions
from tests.runs import order_pass, run_engine, text_recipe

STEPS = "tests.engine.contract_steps:"
FAILING = "tests.engine.failing_steps:"


@pytest.fixture(name="base")
def thousand_texts(tmp_path: Path) -> Path:
    """A thousand texts in two files in `data`; one of the texts has the word `poison`."""
    (tmp_path / "data").mkdir()
    for file in range(2):
        with open(tmp_path / f"data/{file}.jsonl", "w") as out:
            for n in range(500):
                words = "poison here" if (file, n) == (1, 77) else "word " * (n % 9 + 2)
                out.write(json.dumps({"text": f"{file} {n} {words}".strip()}) + "\n")
    return tmp_path


@pytest.fixture(name="photos")
def thirty_photos(tmp_path: Path) -> Path:
    """Thirty images with captions, in one file."""
    write_captions(tmp_path / "data", files=1, rows=30)
    return tmp_path


def run(base: Path, *steps: dict[str, Any], out: str = "out", **how: Any) -> RunManifest:
    made = run_engine(text_recipe(*steps), base, base / out, **how)
    assert verify(str(base / out)).faults == []
    return made


def step(kind: str, base: Path, **settings: Any) -> dict[str, Any]:
    return {STEPS + kind: {"folder": str(base), **settings}}


def failing_step(kind: str, base: Path, **settings: Any) -> dict[str, Any]:
    return {FAILING + kind: {"folder": str(base), **settings}}


def quarantine(base: Path, out: str = "out") -> list[dict[str, Any]]:
    return parts.read_columns(str(base / out / "quarantine.arrow")).to_pylist()


def clear_log(base: Path) -> None:
    (base / "log").unlink(missing_ok=True)


def order(base: Path, out: str = "out") -> Any:
    return order_pass(load_run(str(base / out)))
