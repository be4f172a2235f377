"""Corpora as files, whole runs over them, and what the runs say of every record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.engine.inline import Inline
from manifests import record
from manifests.run import manifest
from manifests.run.manifest import RunManifest
from manifests.run.verify import verify
from manifests.step import Executor
from manifests.storage import parts
from tests.engine import corpora
from tests.filters.duplicates.corpora import Said


def write(folder: Path, texts: Sequence[str], files: int = 3, **columns: Sequence[Any]) -> None:
    """JSON lines of texts, and of other columns beside them, dealt out to files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        json.dumps({"text": text, **{name: values[n] for name, values in columns.items()}})
        for n, text in enumerate(texts)
    ]
    for number in range(files):
        (folder / f"{number:03d}.jsonl").write_text("\n".join(rows[number::files]) + "\n")


def source(folder: str = "data", **more: Any) -> dict[str, Any]:
    return {"name": folder, "reader": "table", "path": f"{folder}/*.jsonl", "text": "text", **more}


def recipe(*steps: dict[str, Any], sources: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"name": "test", "seed": 1, "sources": [*sources] or [source()], "steps": [*steps]}


def run(
    base: Path,
    out: str,
    *steps: dict[str, Any],
    sources: Iterable[dict[str, Any]] = (),
    executor: Executor | None = None,
) -> RunManifest:
    """A run whose ledger balances, whose files are as its manifests say, and that left no work."""
    made = corpora.run(recipe(*steps, sources=sources), base, base / out, executor or Inline())
    assert verify(str(base / out)).faults == []
    assert list((base / out).glob("steps/*/work")) == []
    return made


def said(base: Path, out: str, step: str = "duplicates") -> dict[str, Said]:
    """What a step said of every record that came to it, by id."""
    run_ = manifest.load_run(str(base / out))
    told: dict[str, Said] = {}
    for entry in run_.passes:
        folder = base / out / entry.folder
        known = manifest.load_pass(str(folder))
        if entry.kind != "corpus" or known.steps[0]["name"] != step:
            continue
        for commit in known.parts:
            if gone := commit.file(".dropped.arrow"):
                told |= _dropped(parts.read_columns(str(folder / gone.name)), step)
        told |= _kept(run_, base / out, entry.folder, step)
    return told


def _dropped(table: pa.Table, step: str) -> dict[str, Said]:
    names = ("survivor", "of", "similarity", "family")
    columns = [table[f"{step}.{name}"].to_pylist() for name in names]
    columns.append(table["reason"].to_pylist())
    rows = zip(*columns, strict=True)
    return dict(zip(table["id"].to_pylist(), (Said(*row) for row in rows), strict=True))


def _kept(made: RunManifest, out: Path, folder: str, step: str) -> dict[str, Said]:
    """Those that the order of the shards has still."""
    order = next(entry for entry in made.passes if entry.kind == "order")
    found: dict[str, Said] = {}
    for path in sorted((out / order.folder).glob("part-*.arrow")):
        table = parts.read_columns(str(path))
        families = table[f"{step}.family"].to_pylist()
        found |= {i: Said(family=n) for i, n in zip(table["id"].to_pylist(), families, strict=True)}
    return found


def texts(base: Path, out: str) -> dict[str, str]:
    """The text of every record that was read, by id."""
    found: dict[str, str] = {}
    for entry in manifest.load_run(str(base / out)).passes:
        if entry.kind == "read":
            for path in sorted((base / out / entry.folder).glob("part-*.arrow")):
                table = parts.read_columns(str(path), ("id", "content"))
                own = record.texts(table["content"]).to_pylist()
                found |= dict(zip(table["id"].to_pylist(), own, strict=True))
    return found


def staying(base: Path, out: str) -> list[str]:
    """The texts of the shards, sorted."""
    order = next(e for e in manifest.load_run(str(base / out)).passes if e.kind == "order")
    found: list[str] = []
    for path in sorted((base / out / order.folder).glob("part-*.arrow")):
        found += record.texts(parts.read_columns(str(path), ("content",))["content"]).to_pylist()
    return sorted(found)
