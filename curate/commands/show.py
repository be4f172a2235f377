"""`curate show`: print a few records that a run wrote, dropped or quarantined."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from curate.commands.tables import shortened_list, without_bytes
from curate.inspect.dropped_content import dropped
from curate.inspect.pass_files import files_of
from curate.inspect.quarantine import quarantined
from curate.inspect.step_events import MAY_SUCCEED
from manifests import storage
from manifests.errors import InputError, RecipeError
from manifests.run import manifest
from manifests.run.file_names import PART
from manifests.step.spelling import nearest
from manifests.storage import parts
from manifests.visible import on_one_line

SHOWN_OBJECTS = 5
"""How many objects of a record are listed (our choice)."""
NOT_STORED = (
    "(its content is not stored, because one pass made this record from another and dropped it)"
)


def main(options: argparse.Namespace) -> int:
    if options.prompt is not None:
        from curate.commands import show_prompt  # imports the client, which other uses do not need

        return show_prompt.main(options)
    _check_names(options)
    if options.image and options.quarantined:
        raise RecipeError(
            "--image cannot draw quarantined inputs, because they never became records with images",
            "curate show",
            "Leave out one of --image and --quarantined.",
        )
    shown = [without_bytes(row) for row in _choose(options)]
    faults = _draw(shown, options) if options.image else []
    if options.json:
        print(json.dumps(shown, ensure_ascii=False, indent=1, default=str))
    else:
        print("\n\n".join(_text(row) for row in shown) or "the run has no such records")
        if shown and "id" in shown[0]:
            print(f"\nmore: curate explain {options.run} {shown[0]['id']}")
    for fault in faults:
        print(
            f"curate: {on_one_line(fault)} If the file was moved, name its new folder with "
            "--base FOLDER.",
            file=sys.stderr,
        )
    return 1 if faults else 0


def _check_names(options: argparse.Namespace) -> None:
    """Raise RecipeError if the options name a source or a step that the run does not have. The
    names are not checked with `--quarantined` if the run has stopped and has no manifest yet."""
    if options.step is not None and not (options.dropped or options.quarantined):
        raise RecipeError(
            "--step selects the records that a step dropped, or the inputs that a step quarantined",
            "curate show",
            "Add --dropped, --quarantined or --prompt.",
        )
    if options.quarantined and not storage.exists(storage.join(options.run, manifest.NAME)):
        return
    run = manifest.load_run(options.run)
    known = {
        "source": [source["name"] for source in run.recipe["sources"]],
        "step": [account.step for account in run.ledger],
    }
    for what, names in known.items():
        name = getattr(options, what)
        if name is not None and name not in names:
            fault = f"the run has no {what} named '{name}'"
            raise RecipeError(fault, options.run, nearest(name, names))


def _choose(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the records whose ids or origins the user gave, or, if none was given, the first `-n`
    records. Raises InputError if a given name matches no record."""
    rows = _candidates(options)
    if not options.records:
        return [row for row, _ in zip(rows, range(options.n), strict=False)]
    found = [row for row in rows if _is_named(row, options.records)]
    for name in options.records:
        if not any(_is_named(row, [name]) for row in found):
            raise InputError(
                f"no {_kind(options)} record that the options select has the id or origin '{name}'",
                options.run,
                f"See what happened to this record: curate explain {options.run} {name}",
            )
    return found


def _kind(options: argparse.Namespace) -> str:
    if options.quarantined:
        return "quarantined"
    return "dropped" if options.dropped else "written"


def _is_named(row: dict[str, Any], names: list[str]) -> bool:
    id_, origin = row["id"], row["origin"]
    return any(id_.startswith(n) or f"#/{origin}".endswith((f"/{n}", f"#{n}")) for n in names)


def _draw(shown: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """Draw the images of the records with their objects, into files, and add the paths of these
    files to the rows `shown`, as the column `images`.

    Returns one sentence for each image that could not be drawn.
    """
    from curate.inspect.drawn_files import draw  # imports Pillow, which other uses do not need

    files = draw(options.run, shown, options.image, options.base)
    for row in shown:
        row["images"] = [f.path for f in files if f.path and f.id == row["id"]]
    return [f"{file.fault}." for file in files if file.fault]


def _candidates(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows that the options select: written, dropped or quarantined rows, from all
    sources and steps or only from the named ones."""
    if options.quarantined:
        rows = _quarantined(options.run)
    else:
        rows = dropped(options.run) if options.dropped else _written(options.run)
    rows = (row for row in rows if options.source in (None, row["source"]))
    return (row for row in rows if options.step is None or row["step"] == options.step)


def _quarantined(out: str) -> Iterator[dict[str, Any]]:
    for batch in quarantined(out).to_batches():
        yield from batch.to_pylist()


def _written(out: str) -> Iterator[dict[str, Any]]:
    """Yield the records in the shards of the run `out`, as dicts."""
    for entry in manifest.load_run(out).passes:
        if entry.kind == "order":
            for uri in files_of(out, entry, PART):
                for batch in parts.read(uri, 64):
                    yield from batch.to_pylist()


def _text(row: dict[str, Any]) -> str:
    """Format a record as lines of text: id and origin, content, objects, then all other columns."""
    lines = [f"{row['id']}  {on_one_line(row['origin'])}"]
    if "reason" in row and "content" not in row:
        lines.append(f"  {NOT_STORED}")
    for segment in row.pop("content", None) or []:
        if segment["kind"] == "text":
            role = f"{segment['role']}: " if segment["role"] else ""
            lines.append(f"  {role}{segment['text']}")
        else:
            media = row["media"][segment["media"]]
            size = f"{media['width']} x {media['height']}"
            lines.append(f"  [{segment['kind']} {media['mime']} {size}]")
    lines += [f"  drawn: {on_one_line(path)}" for path in row.pop("images", [])]
    lines += [f"  {line}" for line in _object_lines(row.get("objects") or [])]
    hidden = ("id", "origin", "media", "objects", "shard_order")
    facts = {k: v for k, v in row.items() if k not in hidden and v is not None}
    if facts.pop("later", False):
        facts["retry"] = MAY_SUCCEED
    lines += [f"  {name}: {shortened_list(value)}" for name, value in facts.items()]
    return "\n".join(lines)


def _object_lines(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for each of the first SHOWN_OBJECTS objects: the label, then the coordinates.
    If there are more objects, yield a last line with their number."""
    for annotated in objects[:SHOWN_OBJECTS]:
        places = [
            f"{what} {', '.join(f'{number:.4g}' for number in annotated[what])}"
            for what in ("box", "point", "box3d")
            if annotated[what] is not None
        ]
        places += [f"polygon of {len(annotated['polygon'])} rings"] if annotated["polygon"] else []
        yield "  ".join(["-", str(annotated["label"] or annotated["text"] or "?"), *places])
    if len(objects) > SHOWN_OBJECTS:
        yield f"- and {len(objects) - SHOWN_OBJECTS} more"
