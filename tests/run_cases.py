"""Runs a folder of cases, and prints of each whether its outcome is right.

    python -m tests.run_cases [FOLDER] [--case NAME ...]

FOLDER has a folder for each case, with its input and recipes; by default it is the one that
CURATE_CASES names.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.cases import grounding, inputs, runs
from tests.cases.case import Case

FOLDER = Path(
    os.environ.get("CURATE_CASES", Path(__file__).resolve().parents[2] / "shared" / "cases")
)
CHECKS = inputs.CHECKS | grounding.CHECKS | runs.CHECKS
NOT_RUN = {
    "damage": "its script needs a run made beforehand; tests/engine/test_damage.py has the kinds",
    "memory": "it takes gigabytes and many minutes",
    "relative_out_on_cluster": "it needs a Ray cluster that was started in another folder",
    "truncated_tar_sigbus": "it writes a tar of a gigabyte; tests/ingest/formats has a small one",
}
"""Cases that are not run here, and why."""


class Outcome(NamedTuple):
    """A case, and what is wrong with it: empty if it is right."""

    name: str
    fault: str


def outcomes(folder: Path, names: list[str]) -> Iterator[Outcome]:
    """Runs each case in a copy of its folder."""
    for name in names:
        if name not in CHECKS:
            yield Outcome(name, "there is no check of this case")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary).resolve() / name
            shutil.copytree(folder / name, copy)
            _with_commands(copy)
            yield Outcome(name, _fault(name, Case(copy)))


def case_names(folder: Path) -> list[str]:
    """The names of the cases of a folder that are run."""
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [name for name in found if name not in NOT_RUN]


def _fault(name: str, case: Case) -> str:
    try:
        CHECKS[name](case)
    except AssertionError as error:
        return str(error) or traceback.format_exc()
    except Exception:  # a case that cannot be checked is not right
        return traceback.format_exc()
    return ""


def _with_commands(copy: Path) -> None:
    """Puts the commands `curate` and `python3` of this environment into `.bin` of a case."""
    copy.chmod(0o755)
    for name, words in (("curate", "-m curate"), ("python3", "")):
        place = copy / ".bin" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        place.chmod(0o755)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.run_cases", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--case", action="append", help="only these; may be given several times")
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"no cases at {args.folder}: set CURATE_CASES, or name their folder")
    wrong = 0
    for name, fault in outcomes(args.folder, args.case or case_names(args.folder)):
        print(f"{'WRONG' if fault else 'right'}  {name}{': ' if fault else ''}{fault}", flush=True)
        wrong += bool(fault)
    for name, reason in NOT_RUN.items() if not args.case else ():
        print(f"  -    {name}: not run: {reason}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
