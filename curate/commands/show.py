"""`curate show`: look at a few records of a run, or at what it dropped or quarantined."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from curate.engine.passes import DROPPED, PART
from curate.engine.run import QUARANTINE_FILE
from manifests import manifest, parts, storage


def main(options: argparse.Namespace) -> int:
    rows = _matching(options)
    shown = [row for row, _ in zip(rows, range(options.n), strict=False)]
    if options.json:
        print(json.dumps(shown, ensure_ascii=False, indent=1, default=str))
        return 0
    print("\n\n".join(_told(row) for row in shown) or "no such records")
    if shown and "id" in shown[0]:
        print(f"\nmore: curate explain {options.run} {shown[0]['id']}")
    return 0


def _matching(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    rows = _quarantined(options.run) if options.quarantined else _rows(options)
    return (r for r in rows if options.source in (None, r["source"]))


def _quarantined(out: str) -> Iterator[dict[str, Any]]:
    for batch in parts.read(storage.join(out, QUARANTINE_FILE)):
        yield from batch.to_pylist()


def _rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of the passes, the last first; survivors stand in the files that ordered them."""
    run = manifest.load_run(options.run)
    kinds = ("rows", "corpus") if options.dropped else ("order",)
    for entry in reversed(run.passes):
        if entry.kind not in kinds:
            continue
        folder = storage.join(options.run, entry.folder)
        for commit in manifest.load_pass(folder).parts:
            file = commit.file(DROPPED if options.dropped else PART)
            for batch in parts.read(storage.join(folder, file.name), 64) if file else ():
                yield from batch.to_pylist()


def _told(row: dict[str, Any]) -> str:
    lines = [f"{row['id']}  {row['origin']}"]
    for segment in row.pop("content", None) or []:
        if segment["kind"] == "text":
            role = f"{segment['role']}: " if segment["role"] else ""
            lines.append(f"  {role}{segment['text']}")
        else:
            media = row["media"][segment["media"]]
            size = f"{media['width']} x {media['height']}"
            lines.append(f"  [{segment['kind']} {media['mime']} {size}]")
    hidden = ("id", "origin", "media", "objects", "raw_text", "shard_order")
    facts = {k: v for k, v in row.items() if k not in hidden and v is not None}
    lines += [f"  {name}: {value}" for name, value in facts.items()]
    return "\n".join(lines)
