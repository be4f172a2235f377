"""`curate verify`: every digest, every ledger, every count of a run."""

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
        told = f"{count(checked.files, 'file')}, {size(checked.size_bytes)}"
        print(f"{told}: {'sound, and the ledger balances' if not checked.faults else 'NOT sound'}")
    return DIFFERS if checked.faults else OK
