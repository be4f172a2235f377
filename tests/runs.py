"""Recipes of tests, runs of them, and what lies in the folder of a finished run."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml

from curate import cli
from curate import recipe as recipes
from curate.emit.read import read_shards
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from manifests import record
from manifests.run.manifest import PassEntry, RunManifest, load_run
from manifests.run.verify import verify
from manifests.step import Executor
from manifests.storage import parts


def environment(**changes: str) -> dict[str, str]:
    """The environment variables of a process that can import the modules of the tests."""
    root = Path(__file__).resolve().parents[1]
    return {**os.environ, "PYTHONPATH": str(root), **changes}


def write_recipe(base: Path, *sources: dict[str, Any], **settings: Any) -> Path:
    """Write a recipe of these sources to `base`/recipe.yaml."""
    path = base / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "test", "sources": list(sources), **settings}))
    return path


def caption_recipe(path: str = "data/*.jsonl", **changes: Any) -> dict[str, Any]:
    """A recipe over the files of `make.write_captions`."""
    source = {"name": "made", "reader": "table", "path": path, "text": "caption",
              "image": "image", "media_root": "data"}  # fmt: skip
    steps: list[Any] = [{"words": {"min": 5}}, {"image_shape": {"min_side": 10}}]
    return {"name": "test", "seed": 17, "sources": [source], "steps": steps} | changes


def text_source(folder: str = "data", **more: Any) -> dict[str, Any]:
    """A source over the files of `make.write_texts`."""
    return {"name": folder, "reader": "table", "path": f"{folder}/*.jsonl", "text": "text", **more}


def text_recipe(*steps: dict[str, Any], sources: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"name": "test", "seed": 1, "sources": [*sources] or [text_source()], "steps": [*steps]}


def curate(base: Path, *arguments: str) -> int:
    """The exit code of `curate ...`, typed in the folder `base`."""
    with contextlib.chdir(base):
        return cli.run(list(arguments))


def run_recipe(
    base: Path,
    *sources: dict[str, Any],
    out: str = "out",
    how: tuple[str, ...] = ("--inline",),
    **settings: Any,
) -> FinishedRun:
    """Run a recipe of these sources by the command line; the run succeeds and verifies."""
    write_recipe(base, *sources, **settings)
    assert curate(base, "run", "recipe.yaml", "-o", out, "-q", *how) == cli.OK
    assert curate(base, "verify", out) == cli.OK
    return read_run(base / out)


def run_engine(
    recipe: dict[str, Any],
    base: Path,
    out: Path | str,
    executor: Executor | None = None,
    retry: bool = False,
) -> RunManifest:
    """Run a recipe without the command line, by default in this process."""
    loaded = recipes.build(recipe, base=str(base))
    Path(out).mkdir(parents=True, exist_ok=True)
    return Run(loaded, str(out), executor or Inline(), Progress(quiet=True), retry)()


def run_steps(
    base: Path,
    out: str,
    *steps: dict[str, Any],
    sources: Iterable[dict[str, Any]] = (),
    executor: Executor | None = None,
) -> RunManifest:
    """Run steps over texts; the run verifies and leaves no temporary files of steps."""
    made = run_engine(text_recipe(*steps, sources=sources), base, base / out, executor)
    assert verify(str(base / out)).faults == []
    assert list((base / out).glob("steps/*/work")) == []
    return made


class Quarantined(NamedTuple):
    """An input in the quarantine: its place, the step that failed on it, and the error."""

    origin: str
    step: str
    error: str
    message: str


class FinishedRun(NamedTuple):
    """A successful run: its manifest, its quarantine by origin, and the rows of its shards."""

    manifest: RunManifest
    quarantine: list[Quarantined]
    rows: list[dict[str, Any]]

    @property
    def accounts(self) -> dict[str, tuple[int, int, dict[str, int], dict[str, int]]]:
        return row_counts(self.manifest)

    @property
    def captions(self) -> dict[str, str | None]:
        """The caption of every written row, by its origin."""
        return {row["origin"]: last_answer(row) for row in self.rows}


def read_run(out: Path) -> FinishedRun:
    """The folder of a run; what its readers found is kept, dropped or quarantined."""
    stored = parts.read_columns(str(out / "quarantine.arrow"), (*Quarantined._fields,)).to_pylist()
    made = load_run(str(out))
    read = [a for a in made.ledger if a.step.startswith("read ")]
    assert sum(a.rows_in for a in read) == sum(a.kept + a.removed for a in read)
    tables = list(read_shards(str(out / "shards")))
    rows = pa.concat_tables(tables).to_pylist() if tables else []
    return FinishedRun(made, sorted(Quarantined(**row) for row in stored), rows)


def row_counts(made: RunManifest) -> dict[str, tuple[int, int, dict[str, int], dict[str, int]]]:
    """Of each step: rows in, rows kept, rows dropped by reason, rows quarantined by error."""
    return {a.step: (a.rows_in, a.kept, a.dropped, a.quarantined) for a in made.ledger}


def last_answer(row: dict[str, Any]) -> str | None:
    """The last text of a row's assistant; None if it has none."""
    answers = [
        item["text"]
        for message in row["messages"]
        for item in message["content"]
        if message["role"] == "assistant"
    ]
    return answers[-1] if answers else None


def image_digests(row: dict[str, Any]) -> list[str]:
    return [sha256(image["bytes"]) for image in row["images"]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_bytes(out: Path) -> dict[str, bytes]:
    """Every file of a run by name, except those of what it cost and manifest.json, which contains
    times."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json" and path.parent.name != "requests"
    }


def texts_read(base: Path, out: str) -> dict[str, str]:
    """The text of every record that the readers made, by id."""
    found: dict[str, str] = {}
    for entry in load_run(str(base / out)).passes:
        if entry.kind == "read":
            for table in part_tables(base / out, entry, ("id", "content")):
                texts = record.texts(table["content"]).to_pylist()
                found |= dict(zip(table["id"].to_pylist(), texts, strict=True))
    return found


def texts_kept(base: Path, out: str) -> list[str]:
    """The texts of the records that reach the shards, sorted."""
    order = order_pass(load_run(str(base / out)))
    tables = part_tables(base / out, order, ("content",))
    return sorted(text for t in tables for text in record.texts(t["content"]).to_pylist())


def order_pass(made: RunManifest) -> PassEntry:
    return next(entry for entry in made.passes if entry.kind == "order")


def part_tables(
    out: Path, entry: PassEntry, columns: tuple[str, ...] | None = None
) -> Iterator[pa.Table]:
    for path in sorted((out / entry.folder).glob("part-*.arrow")):
        yield parts.read_columns(str(path), columns)
