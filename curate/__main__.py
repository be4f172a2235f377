"""The entry point of the commands `curate` and `python -m curate`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    _leave_current_folder()
    from curate.cli import run

    sys.exit(run(sys.argv[1:], owns_process=True))


def _leave_current_folder() -> None:
    """Remove the current folder, which `python -m` puts first, from `sys.path`, so that no module
    of the user is imported from it by mistake.

    The folder stays if PYTHONPATH names it, or if this package itself is imported from it.
    """
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    here = os.getcwd()
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    if here != home and here not in map(os.path.abspath, named) and sys.path[0] in ("", here):
        del sys.path[0]


if __name__ == "__main__":
    main()
