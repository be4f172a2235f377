"""Complete runs with the step `recaption`, and what lies in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from manifests.step import Executor
from manifests.storage import parts
from tests.make import make_image, write_json_lines
from tests.recaption.endpoint import MODEL, Endpoint
from tests.runs import caption_recipe, order_pass, part_tables, run_engine

TEXTS = [f"a short caption {n}" for n in range(12)]


def write(base: Path, texts: list[str] = TEXTS, files: int = 2, **image: Any) -> None:
    (base / "data" / "images").mkdir(parents=True, exist_ok=True)
    for n in range(len(texts)):
        (base / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=n, **image))
    rows = [{"caption": text, "image": f"images/{n}.jpg"} for n, text in enumerate(texts)]
    for number in range(files):
        write_json_lines(base / "data" / f"{number}.jsonl", rows[number::files])


def run(
    base: Path,
    endpoint: Endpoint,
    out: str = "out",
    executor: Executor | None = None,
    retry: bool = False,
    **settings: Any,
) -> RunManifest:
    made = run_engine(recipe(endpoint, **settings), base, base / out, executor, retry)
    assert verify(str(base / out)).faults == []
    return made


def recipe(
    endpoint: Endpoint, before: Sequence[dict[str, Any]] = (), **settings: Any
) -> dict[str, Any]:
    """A recipe with the steps `before`, then `recaption` with `settings`."""
    step = {"model": MODEL, "endpoint": endpoint.url, **settings}
    return caption_recipe(steps=[*before, {"recaption": step}])


def records(base: Path, made: RunManifest, out: str = "out") -> list[dict[str, Any]]:
    tables = part_tables(base / out, order_pass(made))
    return sorted((r for t in tables for r in t.to_pylist()), key=lambda r: str(r["raw_text"]))


def text_of(row: dict[str, Any]) -> str:
    [text] = [one["text"] for one in row["content"] if one["kind"] == "text"]
    return str(text)


def statuses(base: Path, made: RunManifest) -> dict[str, int]:
    found = [row["recaption.status"] for row in records(base, made)]
    return {one: found.count(one) for one in sorted(found)}


def quarantine(base: Path, out: str = "out") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parts.read_columns(
        str(base / out / "quarantine.arrow")
    ).to_pylist()
    return rows


def journal_files(base: Path) -> list[Path]:
    return sorted((base / "journal").glob("*.replies"))
