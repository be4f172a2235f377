"""The entry point of the commands `curate` and `python -m curate`."""

from __future__ import annotations

import sys


def main() -> None:
    from curate.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
