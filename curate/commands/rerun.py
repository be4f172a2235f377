"""`curate rerun`: run the recipe of a manifest again, and check that the output is
byte-identical."""

from __future__ import annotations

import argparse

from curate import recipe
from curate.commands.diff import report
from curate.commands.run import execute
from curate.inspect.compare import differences
from manifests.run import manifest


def main(options: argparse.Namespace) -> int:
    made = manifest.load_run(options.manifest)
    folder = options.manifest.removesuffix(manifest.NAME).rstrip("/") or "."
    base = options.base or made.environment["base"]
    out = options.out or f"{folder}-rerun"
    loaded = recipe.of_manifest(made, options.manifest, base)
    again = execute(loaded, out, options)
    same = f"no differences: both runs have the same bytes. manifest {again.digest}   {out}"
    return report(differences(folder, out), options.json, same)
