"""Small corpora and recipes for engine tests, and runs of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate import recipe
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from manifests.run.manifest import RunManifest
from manifests.step import Executor
from tests.make import make_image

WORDS = ("red", "blue", "green", "small", "large", "round", "old", "house", "tree", "river")


def captions(folder: Path, files: int = 3, rows: int = 40, start: int = 0) -> None:
    """JSON lines of captions with images beside them; every seventh caption is short."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for seed in range(4):
        (folder / "images" / f"{seed}.jpg").write_bytes(make_image(64 + seed, 48, seed))
    for number in range(start, start + files):
        lines = [json.dumps(_row(number, row)) for row in range(rows)]
        (folder / f"{number:03d}.jsonl").write_text("\n".join(lines) + "\n")


def _row(number: int, row: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + row * k) % len(WORDS)] for k in range(1, 3 if row % 7 == 0 else 8)]
    return {"caption": f"{' '.join(words)} {number} {row}", "image": f"images/{row % 4}.jpg"}


def content(path: str = "data/*.jsonl", **changes: Any) -> dict[str, Any]:
    """A recipe over `captions`, as plain data."""
    source = {"name": "made", "reader": "table", "path": path, "text": "caption",
              "image": "image", "media_root": "data"}  # fmt: skip
    steps: list[Any] = [{"words": {"min": 5}}, {"image_shape": {"min_side": 10}}]
    return {"name": "test", "seed": 17, "sources": [source], "steps": steps} | changes


def run(
    what: dict[str, Any],
    base: Path,
    out: Path | str,
    executor: Executor | None = None,
    retry: bool = False,
) -> RunManifest:
    loaded = recipe.build(what, base=str(base))
    Path(out).mkdir(parents=True, exist_ok=True)
    return Run(loaded, str(out), executor or Inline(), Progress(quiet=True), retry)()


def files(out: Path) -> dict[str, bytes]:
    """Every file of a run by name, but for the run manifest, which tells the time."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def accounts(made: RunManifest) -> dict[str, tuple[int, int, dict[str, int], dict[str, int]]]:
    return {a.step: (a.rows_in, a.kept, a.dropped, a.quarantined) for a in made.ledger}
