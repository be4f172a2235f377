"""Complete runs with two steps `locate` and `locate_agreement`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from manifests.step import Executor
from tests.make import write_json_lines
from tests.recaption.endpoint import MODEL, Endpoint
from tests.runs import caption_recipe, order_pass, part_tables, run_engine

COLOURS = ["red", "green", "blue"]


def write(base: Path, images: dict[str, bytes], files: int = 2) -> None:
    """Images, and JSON lines in which the caption of an image is its name."""
    (base / "data" / "images").mkdir(parents=True, exist_ok=True)
    for name, data in images.items():
        (base / "data" / "images" / f"{name}.jpg").write_bytes(data)
    rows = [{"caption": name, "image": f"images/{name}.jpg"} for name in images]
    for number in range(files):
        write_json_lines(base / "data" / f"{number}.jsonl", rows[number::files])


def locate(endpoint: Endpoint, **settings: Any) -> dict[str, Any]:
    asked = {} if "descriptions" in settings else {"categories": COLOURS}
    step = {"model": MODEL, "endpoint": endpoint.url, "space": "relative_1000"}
    return {"locate": {**step, **asked, **settings}}


def agreement(**settings: Any) -> dict[str, Any]:
    return {"locate_agreement": settings}


def run(
    base: Path,
    *steps: dict[str, Any],
    out: str = "out",
    executor: Executor | None = None,
    **recipe: Any,
) -> RunManifest:
    made = run_engine(caption_recipe(steps=[*steps], **recipe), base, base / out, executor)
    assert verify(str(base / out)).faults == []
    return made


def records(base: Path, made: RunManifest, out: str = "out") -> dict[str, dict[str, Any]]:
    """The records that reach the shards, by the name of their image."""
    rows = [r for t in part_tables(base / out, order_pass(made)) for r in t.to_pylist()]
    return {Path(row["media"][0]["uri"]).stem: row for row in rows}


def attributes(one: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(one["attributes"])
    return made
