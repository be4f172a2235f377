"""The entry point of the commands `curate` and `python -m curate`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    _open_closed_streams()
    _leave_current_folder()
    from curate.cli import run

    sys.exit(run(sys.argv[1:], owns_process=True))


def _open_closed_streams() -> None:
    """Open the null device in place of each standard stream that is closed (`>&-`). Otherwise a
    file that the run opens would get the file number of the stream, and libraries that print to the
    stream would write into this file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _leave_current_folder() -> None:
    """Remove the current folder, which `python -m` puts first, from `sys.path`, so that no module
    of the user is imported from it by mistake.

    The folder stays if PYTHONPATH names it, or if this package itself is imported from it.
    """
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        here = os.getcwd()
    except FileNotFoundError:
        sys.exit("curate: the current folder was deleted. Change to a folder that exists.")
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    if here != home and here not in map(os.path.abspath, named) and sys.path[0] in ("", here):
        del sys.path[0]


if __name__ == "__main__":
    main()
