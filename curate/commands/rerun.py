"""`curate rerun`: run the recipe of a manifest again, and check that the output is
byte-identical."""

from __future__ import annotations

import argparse

from curate import recipe
from curate.commands.diff import SAME, report
from curate.commands.run import execute
from curate.inspect.compare import differences
from manifests import storage
from manifests.errors import RecipeError
from manifests.run import manifest


def main(options: argparse.Namespace) -> int:
    made = manifest.load_run(options.manifest)
    folder = storage.folder_of(manifest.place_of(options.manifest)) or "."
    path, query = storage.split_query(folder)
    base = options.base or made.environment["base"]
    out = options.out or f"{path}-rerun{query}"
    _refuse_same(folder, out)
    loaded = recipe.of_manifest(made, options.manifest, base)
    again = execute(loaded, out, options)
    same = f"{SAME}. manifest {again.digest}   {out}"
    return report(differences(folder, out), options.json, same)


def _refuse_same(folder: str, out: str) -> None:
    """Raise RecipeError if the output folder is the folder of the run that is repeated."""
    if storage.is_same_folder(folder, out):
        raise RecipeError(
            "this is the folder of the run that is to be repeated: it would be overwritten, and "
            "nothing would be left to compare with",
            f"the option '--out', {out}",
            f"Name a new folder, such as {folder}-rerun.",
        )
