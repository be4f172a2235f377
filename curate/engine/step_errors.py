"""Errors that the code of a step raises, as errors that name the step and its line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

from curate.engine.planned import PlannedStep
from manifests.errors import CurateError, RowError, StepError


@contextlib.contextmanager
def naming(planned: PlannedStep, method: str) -> Iterator[None]:
    """Turn an error of the step's method, which is not about a single row, into a StepError.

    Errors of ours are passed on: they name their place already.
    """
    try:
        yield
    except RowError as error:  # there is no single row here
        raise StepError(describe(planned, error), f"step {planned.name}, {method}") from error
    except CurateError:
        raise
    except (Exception, SystemExit) as error:  # whatever the code of a step raises
        raise StepError(describe(planned, error), f"step {planned.name}, {method}") from error


def describe(planned: PlannedStep, error: BaseException) -> str:
    """The error with the line of the step that raised it:
    `KeyError: 'words' (mysteps.py, line 12)`."""
    text = f"{type(error).__name__}: {error}"
    module = sys.modules.get(type(planned.step).__module__)
    own = getattr(module, "__file__", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if frame.filename == own]
    if not lines:
        return text
    name = lines[-1].filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{text} ({name}, line {lines[-1].lineno})"
