"""Runs trials by hand, more than the suite does, and prints each finding with its seed."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from tests.hunt.generators import GENERATORS
from tests.hunt.observe import prepare
from tests.hunt.trial import findings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hunt", description=__doc__)
    parser.add_argument("--reader", action="append", choices=sorted(GENERATORS), help="all if none")
    parser.add_argument("--count", type=int, default=100, help="trials of each reader")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first trial")
    parser.add_argument("--folder", help="keep the last source here, such as one that fails")
    parser.add_argument("--most", type=int, default=5, help="findings to print for each reader")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(args.folder or temporary).resolve()
        prepare(base)
        found = sum(_hunt(name, args, base) for name in args.reader or sorted(GENERATORS))
    return 1 if found else 0


def _hunt(name: str, args: argparse.Namespace, base: Path) -> int:
    found: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.count):
        for finding in findings(GENERATORS[name], seed, base):
            found[finding.fault[:40]] += 1
            if found.total() <= args.most:
                print(finding, flush=True)
    kinds = "".join(f"\n    {n} x {kind}" for kind, n in found.most_common())
    print(f"{name}: {args.count} trials, {found.total()} findings{kinds}", flush=True)
    return found.total()


if __name__ == "__main__":
    raise SystemExit(main())
