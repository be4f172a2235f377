"""`curate journal`: what the journal of a model's replies has, and how often it was used."""

from __future__ import annotations

import argparse
import json

from curate.cli import DIFFERS, OK
from curate.commands.tables import count, size, table
from manifests.errors import InputError
from recaption.client.journal import JournalFile, files, survey
from recaption.client.journal import damaged as damaged_line

_MODEL = ("model", "replies", "input_tokens", "output_tokens")


def main(options: argparse.Namespace) -> int:
    found = [survey(uri) for uri in files(options.folder)]
    if not found:
        fault = "there is no file of a journal in this folder"
        raise InputError(fault, options.folder, "Check the setting `journal` of the step.")
    damaged = [(one.name, start, size) for one in found for start, size in one.damaged]
    print(json.dumps(_summary(found, damaged), indent=1) if options.json else _text(found, damaged))
    return DIFFERS if damaged else OK


def _models(found: list[JournalFile]) -> list[tuple[str, int, int, int]]:
    """Return the replies, input tokens and output tokens of each model."""
    totals: dict[str, tuple[int, int, int]] = {}
    for one in found:
        for name, (replies, read, written) in one.models.items():
            known = totals.get(name, (0, 0, 0))
            totals[name] = (known[0] + replies, known[1] + read, known[2] + written)
    return [(name, *totals[name]) for name in sorted(totals)]


def _summary(found: list[JournalFile], damaged: list[tuple[str, int, int]]) -> dict[str, object]:
    keys = {key for one in found for key in one.keys}
    return {
        "files": len(found),
        "size_bytes": sum(one.size_bytes for one in found),
        "replies": len(keys),
        "asked": sum(one.asked for one in found),
        "hits": sum(one.hits for one in found),
        "models": [dict(zip(_MODEL, values, strict=True)) for values in _models(found)],
        "damaged": [{"file": f, "start": s, "size_bytes": n} for f, s, n in damaged],
    }


def _text(found: list[JournalFile], damaged: list[tuple[str, int, int]]) -> str:
    keys = {key for one in found for key in one.keys}
    total = size(sum(one.size_bytes for one in found))
    asked, hits = (sum(getattr(one, name) for one in found) for name in ("asked", "hits"))
    lines = [
        f"{len(keys):,} different replies in {count(len(found), 'file')}, {total}",
        f"runs that ended asked {count(asked, 'time')}, and found {hits:,} replies in the journal",
        "",
        table([name.replace("_", " ") for name in _MODEL], _models(found)),
    ]
    lines += [damaged_line(*one) for one in damaged]
    return "\n".join(lines)
