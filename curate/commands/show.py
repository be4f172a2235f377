"""`curate show`: look at a few records of a run, or at what it dropped or quarantined."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from curate.engine.part_files import DROPPED, PART
from curate.engine.run import QUARANTINE_FILE
from manifests import storage
from manifests.errors import InputError, RecipeError
from manifests.run import manifest
from manifests.storage import parts

TOLD_OBJECTS = 5
"""Of a record, in words (ours)."""


def main(options: argparse.Namespace) -> int:
    if options.image and options.quarantined:
        raise RecipeError("what was quarantined is no record, and has no image", "curate show")
    shown = _chosen(options)
    faults = _drawn(shown, options) if options.image else []
    if options.json:
        print(json.dumps(shown, ensure_ascii=False, indent=1, default=str))
    else:
        print("\n\n".join(_told(row) for row in shown) or "no such records")
        if shown and "id" in shown[0]:
            print(f"\nmore: curate explain {options.run} {shown[0]['id']}")
    for fault in faults:
        print(f"curate: {fault} Is it elsewhere now? Say so: --base FOLDER.", file=sys.stderr)
    return 1 if faults else 0


def _chosen(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The first rows there are, or all that are named."""
    rows = _matching(options)
    if not options.records:
        return [row for row, _ in zip(rows, range(options.n), strict=False)]
    found = [row for row in rows if _named(row, options.records)]
    for name in options.records:
        if not any(_named(row, [name]) for row in found):
            raise InputError(
                f"no record '{name}' among those shown", options.run,
                f"Tell what became of it: curate explain {options.run} {name}",
            )  # fmt: skip
    return found


def _named(row: dict[str, Any], names: list[str]) -> bool:
    return any(row.get("id", "").startswith(name) or row["origin"] == name for name in names)


def _drawn(shown: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """Draw the records; their rows are told the files, and the answer is what could not be."""
    from curate.inspect.drawn_files import draw  # it needs Pillow, and other commands do not

    files = draw(options.run, shown, options.image, options.base)
    for row in shown:
        row["images"] = [f.path for f in files if f.path and f.id == row["id"]]
    return [f"{file.fault}." for file in files if file.fault]


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
    lines += [f"  drawn: {path}" for path in row.pop("images", [])]
    lines += [f"  {thing}" for thing in _things(row.get("objects") or [])]
    hidden = ("id", "origin", "media", "objects", "raw_text", "shard_order")
    facts = {k: v for k, v in row.items() if k not in hidden and v is not None}
    lines += [f"  {name}: {value}" for name, value in facts.items()]
    return "\n".join(lines)


def _things(objects: list[dict[str, Any]]) -> Iterator[str]:
    """The first objects, a line each: what they are called, and where they are."""
    for thing in objects[:TOLD_OBJECTS]:
        places = [
            f"{what} {', '.join(f'{number:.4g}' for number in thing[what])}"
            for what in ("box", "point", "box3d")
            if thing[what] is not None
        ]
        places += [f"polygon of {len(thing['polygon'])} rings"] if thing["polygon"] else []
        yield "  ".join(["-", str(thing["label"] or thing["text"] or "?"), *places])
    if len(objects) > TOLD_OBJECTS:
        yield f"- and {len(objects) - TOLD_OBJECTS} more"
