"""`curate diff`: print what differs between two runs."""

from __future__ import annotations

import argparse
import json

from curate.cli import DIFFERS, OK
from curate.inspect.compare import Difference, differences
from manifests.visible import on_one_line

SAME = (
    "no differences: the manifests state the same digests, and the files of both runs have these "
    "digests"
)


def main(options: argparse.Namespace) -> int:
    return report(differences(options.run, options.other), options.json, SAME)


def report(found: list[Difference], as_json: bool, same: str) -> int:
    """Print the differences between two runs, or the text `same` if there are none; return the exit
    code."""
    if as_json:
        print(json.dumps([d._asdict() for d in found], indent=1, ensure_ascii=False))
    for difference in [] if as_json else found:
        what = on_one_line(difference.what)
        print(f"{what}\n  - {_shown(difference.here)}\n  + {_shown(difference.there)}")
    if not found and not as_json:
        print(same)
    return DIFFERS if found else OK


def _shown(value: object) -> str:
    return "(absent)" if value is None else str(value)
