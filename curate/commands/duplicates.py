"""`curate duplicates`: print the largest families of duplicates in a run."""

from __future__ import annotations

import argparse
import json

from curate.cli import OK
from curate.commands.tables import number
from curate.inspect.families import Family, largest_families
from manifests.errors import InputError
from manifests.run import manifest
from manifests.step.spelling import nearest

_WIDTH = 72


def main(options: argparse.Namespace) -> int:
    _check_step(options.run, options.step)
    found = largest_families(options.run, options.top, options.members, options.step)
    if options.json:
        print(json.dumps([_as_json(family) for family in found], indent=1, ensure_ascii=False))
    elif not found:
        print("no duplicates were dropped")
    else:
        print("\n\n".join(map(_listed, found)))
    return OK


def _check_step(out: str, step: str | None) -> None:
    """Raise InputError if the run has no step named `step`."""
    known = [a.step for a in manifest.load_run(out).ledger]
    if step is not None and step not in known:
        raise InputError(f"no step named '{step}' in this run.", out, nearest(step, known))


def _as_json(family: Family) -> dict[str, object]:
    return {**family._asdict(), "members": [member._asdict() for member in family.members]}


def _listed(family: Family) -> str:
    """Format a family as text: the survivor, then the dropped members, one line for each."""
    origin = family.origin or "in an earlier corpus"
    lines = [f"{family.dropped:,} dropped by {family.step}; kept: {family.survivor}  {origin}"]
    if family.text:
        lines.append("  " + _short(family.text))
    for one in family.members:
        of = "" if one.of == family.survivor else f"  duplicate of {one.of}"
        lines.append(f"  {number(one.similarity):>6}  {one.id}  {one.origin}{of}")
    if family.dropped > len(family.members):
        lines.append(f"          and {family.dropped - len(family.members):,} more")
    return "\n".join(lines)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
