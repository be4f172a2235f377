"""A case: a copy of its folder, and what runs of its recipes make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from manifests.run.manifest import RunManifest, load_run
from manifests.storage import parts
from tests.runs import FinishedRun, read_run

MAX_SECONDS = 300
PART = "part-????????????????.arrow"


class Done(NamedTuple):
    """What a command printed, and its exit code; 124 if it was stopped after MAX_SECONDS."""

    code: int
    text: str


class Case(NamedTuple):
    """A case in a folder of its own, which a check may change."""

    folder: Path

    def command(self, *arguments: str, seconds: int = MAX_SECONDS, **variables: str) -> Done:
        """Runs a command in the folder of the case."""
        bins = f"{self.folder}/.bin:{os.environ.get('PATH', '')}"
        paths = os.pathsep.join(p for p in sys.path if p)
        env = {**os.environ, "PATH": bins, "PYTHONPATH": paths, **variables}
        try:
            done = subprocess.run(
                arguments,
                cwd=self.folder,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return Done(124, (late.output or b"").decode(errors="replace"))
        return Done(done.returncode, done.stdout.decode(errors="replace"))

    def curate(self, *arguments: str, **variables: str) -> Done:
        """Runs `curate ...`, which must print no traceback."""
        done = self.command(sys.executable, "-m", "curate", *arguments, **variables)
        assert "Traceback" not in done.text, done.text[-600:]
        return done

    def run(self, recipe: str = "recipe.yaml", *more: str, out: str = "out", **env: str) -> Done:
        return self.curate("run", recipe, "-o", out, "--inline", "-q", *more, **env)

    def good_run(self, recipe: str = "recipe.yaml", *more: str, out: str = "out") -> Out:
        done = self.run(recipe, *more, out=out)
        assert done.code == 0, f"exit code {done.code}: {done.text[-400:]}"
        return Out(self.folder / out)

    def write(self, name: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)


class Out(NamedTuple):
    """The folder of a run."""

    folder: Path

    @property
    def manifest(self) -> RunManifest:
        return load_run(str(self.folder))

    @property
    def finished(self) -> FinishedRun:
        return read_run(self.folder)

    def records(self) -> list[dict[str, Any]]:
        """The records that the readers made, with `meta` parsed."""
        read = [entry for entry in self.manifest.passes if entry.kind == "read"]
        found: list[dict[str, Any]] = []
        for path in (path for entry in read for path in self._parts(entry.folder)):
            found += parts.read_columns(str(path)).to_pylist()
        return [{**row, "meta": json.loads(row["meta"] or "{}")} for row in found]

    def _parts(self, folder: str) -> list[Path]:
        return sorted((self.folder / folder).glob(PART))

    def texts(self) -> list[str | None]:
        """The first text of each record."""
        texts = [[s["text"] for s in row["content"] if s["text"]] for row in self.records()]
        return [found[0] if found else None for found in texts]

    def objects(self) -> list[tuple[str, str | None, list[float] | None]]:
        """The origin, label and box of each object; a box is rounded to hundredths."""
        return [
            (row["origin"], one["label"], one["box"] and [round(n, 2) for n in one["box"]])
            for row in self.records()
            for one in row["objects"]
        ]

    def images(self) -> list[list[str]]:
        """The last names of the images of each record, in the order in which they are shown."""
        return [
            [
                row["media"][s["media"]]["uri"].rpartition("/")[2]
                for s in row["content"]
                if s["kind"] == "image"
            ]
            for row in self.records()
        ]

    def counts(self, step: str) -> tuple[int, int, int]:
        """The rows that went into a step, those it kept, and those it quarantined."""
        rows_in, kept, _, quarantined = self.finished.accounts[step]
        return rows_in, kept, sum(quarantined.values())

    def answers(self) -> list[str]:
        """All texts of the shards, as JSON."""
        return [json.dumps(row["messages"], ensure_ascii=False) for row in self.finished.rows]


Check = Callable[[Case], None]


def equal(found: object, wanted: object) -> None:
    assert found == wanted, f"found {found!r:.500}, right is {wanted!r:.500}"


def has(text: str, *wanted: str) -> None:
    for one in wanted:
        assert one in text, f"{one!r} is not in {text[-500:]!r}"
