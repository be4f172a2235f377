"""`curate verify`: check the digests, ledgers and counts of a run."""

from __future__ import annotations

import argparse
import json

from curate.cli import DIFFERS, OK
from curate.commands.tables import count, size
from curate.engine.recount import recount
from manifests import storage
from manifests.errors import ManifestError
from manifests.run import manifest
from manifests.run.verify import Fault, Verified, verify
from manifests.visible import on_one_line

_FOLDERS = 20
"""The number of folders for which `not_covered` prints a line (our choice)."""


def main(options: argparse.Namespace) -> int:
    checked, inputs = _verified(options.run), None
    if checked.files and not options.no_inputs:
        inputs = recount(options.run, options.base)
        checked = checked._replace(faults=checked.faults + inputs.faults)
    if options.json:
        faults = [fault._asdict() for fault in checked.faults]
        counted = {"inputs": inputs.files if inputs else None}
        print(json.dumps({**checked._asdict(), **counted, "faults": faults}, indent=1))
    else:
        for fault in checked.faults:
            print(f"{on_one_line(fault.place)}: {on_one_line(fault.fault)}")
        print(not_covered(checked.uncovered), end="")
        if inputs:
            print(f"{count(inputs.files, 'input file')} counted again")
        checked_files = f"{count(checked.files, 'file')}, {size(checked.size_bytes)}"
        verdict = "there are faults" if checked.faults else "no faults, and all counts agree"
        print(f"{checked_files}: {verdict}")
    return DIFFERS if checked.faults else OK


def _verified(run: str) -> Verified:
    """Verify a run. If the manifest of the run exists but is damaged, this is the only fault in the
    result: without the manifest, the other files of the run cannot be found."""
    try:
        return verify(run)
    except ManifestError as error:
        if not storage.exists(manifest.place_of(run)):
            raise
        return Verified(0, 0, [Fault(error.place, error.message)], [])


def not_covered(names: list[str]) -> str:
    """Format one line for each folder that has files which no manifest of the run names. If there
    are more than _FOLDERS such folders, a last line has the number of the other folders. `names`
    are the paths of these files."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition("/")[0], []).append(name)
    lines = [f"not covered by a manifest: {shown(files)}\n" for files in found.values()]
    more = len(lines) - _FOLDERS
    rest = f"not covered by a manifest: {count(more, 'more folder')}\n" if more > 0 else ""
    note = (
        "Results of other settings are no part of this run, and may be deleted.\n" if found else ""
    )
    return "".join(lines[:_FOLDERS]) + rest + note


def shown(files: list[str]) -> str:
    """Format the path of the first file of a folder, and the number of other files beside it:
    `shown(["a/b", "a/c"]) -> "a/b and 1 more file beside it"`."""
    more = len(files) - 1
    return on_one_line(files[0]) + (f" and {count(more, 'more file')} beside it" if more else "")
