"""`curate verify`: check the digests, ledgers and counts of a run."""

from __future__ import annotations

import argparse
import json

from curate.cli import DIFFERS, OK
from curate.commands.tables import count, size
from manifests.run.verify import verify


def main(options: argparse.Namespace) -> int:
    checked = verify(options.run)
    if options.json:
        faults = [fault._asdict() for fault in checked.faults]
        print(json.dumps({**checked._asdict(), "faults": faults}, indent=1))
    else:
        for fault in checked.faults:
            print(f"{fault.place}: {fault.fault}")
        checked_files = f"{count(checked.files, 'file')}, {size(checked.size_bytes)}"
        verdict = "there are faults" if checked.faults else "no faults, and all counts agree"
        print(f"{checked_files}: {verdict}")
    return DIFFERS if checked.faults else OK
