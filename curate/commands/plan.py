"""`curate plan`: list the passes of a recipe, and which of them are already done."""

from __future__ import annotations

import argparse
import json
from typing import Any

from curate import recipe
from curate.commands.tables import table
from curate.engine import plan as planning
from curate.engine.passes import Pass
from curate.engine.run import STEPS
from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import PassManifest


def main(options: argparse.Namespace) -> int:
    loaded = recipe.load(options.recipe, options.set)
    rows = []
    for number, planned in enumerate(planning.plan(loaded), 1):
        done = _done(options.out, planned)
        parts = len(done.parts) if done else None
        rows.append((number, planned.kind, planned.title, planned.fingerprint, _state(done), parts))
    if options.json:
        keys = ("number", "kind", "does", "fingerprint", "state", "parts")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return 0
    print(table(("pass", "kind", "does", "fingerprint", "state", "parts"), rows))
    print("".join(f"\n{note}" for note in planning.notes(loaded)), end="")
    print("\nA run checks each part of a pass that is done, and makes again only what changed.")
    return 0


def _done(out: str | None, planned: Pass[Any]) -> PassManifest | None:
    if out is None:
        return None
    place = storage.join(out, STEPS, planned.folder_name)
    there = storage.size_and_stamp(storage.join(place, manifest.NAME))
    found = manifest.load_pass(place) if there else None
    return found if found and found.fingerprint == planned.fingerprint else None


def _state(done: PassManifest | None) -> str:
    return f"done: {done.rows:,} rows" if done else "to run"
