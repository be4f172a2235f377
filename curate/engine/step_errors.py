"""Converts errors raised by the code of a step into errors that name the step and the line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

from curate.engine.planned import PlannedStep
from manifests.errors import CurateError, RowError, StepError, foreign_message


@contextlib.contextmanager
def naming(planned: PlannedStep, method: str) -> Iterator[None]:
    """In a `with` block of this function, convert any error, also SystemExit, into a StepError that
    names the step and the method. Use it for calls of a step in which the error of a single row
    cannot be found.

    The project's own errors, except RowError, are not converted, because they already say where
    they occurred.
    """
    try:
        yield
    except RowError as error:  # no single row can be quarantined here
        raise StepError(describe(planned, error), f"step {planned.name}, {method}") from error
    except CurateError:
        raise
    except (Exception, SystemExit) as error:  # the code of a step may raise anything
        raise StepError(describe(planned, error), f"step {planned.name}, {method}") from error


def describe(planned: PlannedStep, error: BaseException) -> str:
    """Format an error with the line of the step's code that raised the error, if the error passed
    through that code.

    Example: `KeyError: 'words' (mysteps.py, line 12)`.
    """
    text = f"{type(error).__name__}: {foreign_message(error)}"
    module = sys.modules.get(type(planned.step).__module__)
    own = getattr(module, "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if frame.filename == own]
    if not lines:
        return text
    name = lines[-1].filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{text} ({name}, line {lines[-1].lineno})"
