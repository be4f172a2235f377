"""Whole runs by the command line, checked by `curate verify`, and what became of the inputs."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml

from curate import cli
from curate.emit.read import read_shards
from manifests.run.manifest import RunManifest, load_run
from manifests.storage import parts
from tests.engine import corpora


class Lost(NamedTuple):
    """An input in the quarantine: where it was, which step gave it up, and why."""

    origin: str
    step: str
    error: str
    message: str


class Ran(NamedTuple):
    """A run that ended well: its manifest, its quarantine by origin, and the rows of its shards."""

    manifest: RunManifest
    lost: list[Lost]
    rows: list[dict[str, Any]]

    @property
    def accounts(self) -> dict[str, tuple[int, int, dict[str, int], dict[str, int]]]:
        """For each step what came, what it kept, dropped by reason, and quarantined by error."""
        return corpora.accounts(self.manifest)

    @property
    def captions(self) -> dict[str, str | None]:
        """The caption of every row that was written, by its origin."""
        return {row["origin"]: caption(row) for row in self.rows}


def caption(row: dict[str, Any]) -> str | None:
    """The last text of a row's assistant; None where it says nothing."""
    said = [
        item["text"]
        for message in row["messages"]
        for item in message["content"]
        if message["role"] == "assistant"
    ]
    return said[-1] if said else None


def digests(row: dict[str, Any]) -> list[str]:
    return [digest(image["bytes"]) for image in row["images"]]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def recipe(base: Path, *sources: dict[str, Any], **settings: Any) -> Path:
    """Write a recipe of these sources to `base`."""
    path = base / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "test", "sources": list(sources), **settings}))
    return path


def curate(base: Path, *arguments: str) -> int:
    """What `curate ...` answers when it is typed in the folder `base`."""
    with contextlib.chdir(base):
        return cli.run(list(arguments))


def ran(
    base: Path,
    *sources: dict[str, Any],
    out: str = "out",
    how: tuple[str, ...] = ("--inline",),
    **settings: Any,
) -> Ran:
    """Run a recipe of these sources in `base`; the run succeeds, and `curate verify` is content."""
    recipe(base, *sources, **settings)
    assert curate(base, "run", "recipe.yaml", "-o", out, "-q", *how) == cli.OK
    assert curate(base, "verify", out) == cli.OK
    return found(base / out)


def found(out: Path) -> Ran:
    """What lies in the folder of a run."""
    told = parts.read_columns(str(out / "quarantine.arrow"), (*Lost._fields,)).to_pylist()
    made = load_run(str(out))
    assert sum(a.rows_in for a in made.ledger if a.step.startswith("read ")) == sum(
        a.kept + a.removed for a in made.ledger if a.step.startswith("read ")
    )
    tables = list(read_shards(str(out / "shards")))
    rows = pa.concat_tables(tables).to_pylist() if tables else []
    return Ran(made, sorted(Lost(**row) for row in told), rows)
