"""The command line: runs a command, and turns errors into one line and an exit code.

Exit codes: 0 success; 1 an error while running; 2 a mistake in the recipe or the command; 3 error
budget exceeded; 4 a comparison or verification found a difference; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import traceback
import warnings

from curate.interrupts import terminable
from curate.options import parsed
from curate.supervisor import supervised
from curate.terminal import screens
from manifests.visible import on_one_line, without_passwords

OK, FAILED, MISTAKE, OVER_BUDGET, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 130


def run(arguments: list[str], owns_process: bool = False) -> int:
    """Parse and run a command; return its exit code. Everything that the command prints passes
    through `Screen`.

    If `owns_process` is true, a command with `--inline` runs in a child process, which is started
    again if it hangs.
    """
    with screens():
        options = parsed(arguments)
        if not (owns_process and getattr(options, "inline", False)):
            return _run(options)
        return supervised(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    """Run a command. Any error is printed in one line; with `--debug`, the traceback is printed
    before this line, except after an interruption."""
    from manifests.errors import BudgetError, CurateError, RecipeError

    try:
        _refuse_passwords(options)
        _refuse_other_names()
        with _warnings(options), terminable():
            command = importlib.import_module(f"curate.commands.{options.command}")
            code = int(command.main(options))
            sys.stdout.flush()  # an error of the output is an error of the command
            return code
    except KeyboardInterrupt:
        return _fail(
            "interrupted. A run keeps its finished parts: run the same command again to continue.",
            INTERRUPTED,
        )
    except Exception as error:
        if options.debug:
            print(without_passwords(traceback.format_exc()), file=sys.stderr, end="")
        if isinstance(error, CurateError):
            codes = {RecipeError: MISTAKE, BudgetError: OVER_BUDGET}
            return _fail(error, next((c for k, c in codes.items() if isinstance(error, k)), FAILED))
        return _fail(_unexpected(error), FAILED)


def _warnings(options: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Returns a context manager that hides the warnings of Python's libraries if the option `-q` is
    given."""
    if getattr(options, "quiet", False):
        return warnings.catch_warnings(action="ignore")
    return contextlib.nullcontext()


def _refuse_passwords(options: argparse.Namespace) -> None:
    """Raise RecipeError if an option has an address with a password in it."""
    from manifests.errors import RecipeError
    from manifests.visible import PASSWORD_FAULT, PASSWORD_FIX, has_password

    for name, value in vars(options).items():
        if any(has_password(str(one)) for one in (value if isinstance(value, list) else [value])):
            raise RecipeError(PASSWORD_FAULT, f"the option '{name}'", PASSWORD_FIX)


def _refuse_other_names() -> None:
    """Raise CurateError if Python does not decode file names as UTF-8, because the ids of records
    depend on the decoded names."""
    from manifests.errors import CurateError

    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise CurateError(
            f"with this locale, Python reads the names of files as {encoding}, which would change "
            "the ids of records",
            fix="Set PYTHONUTF8=1.",
        )


def _unexpected(error: Exception) -> str:
    """Describe an error that is not one of the project's own errors. For a lack of memory, an error
    of the operating system about a file, and an error of the installation, the text describes only
    the error. For any other error, the text also names the place in the code, and explains how to
    report the error."""
    from manifests.errors import is_of_environment

    if isinstance(error, OSError) and error.filename is not None:
        return f"{without_passwords(os.fsdecode(error.filename))}: {error.strerror}."
    if isinstance(error, MemoryError):
        return (
            "there is not enough memory. Free some; on Ray, you can also run fewer tasks at a time "
            "with --workers."
        )
    lines = without_passwords(str(error)).strip().splitlines() or [""]
    if is_of_environment(error):
        return (
            f"{type(error).__name__}: {lines[-1]}. The cause is the installation or a limit of "
            "this machine, not an input: install what is missing, or raise the limit (such as "
            "`ulimit`). Then run the same command again."
        )
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}, line {place.lineno}"
    return (
        f"unexpected {type(error).__name__}: {lines[-1]} ({where}). This is a fault in curate or "
        "in a step of your own. To report it, send the recipe and what the same command prints "
        "with --debug."
    )


def _fail(error: object, code: int) -> int:
    print(f"curate: {on_one_line(str(error))}", file=sys.stderr)
    return code
