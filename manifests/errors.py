"""Every error a user can meet: where, what is wrong (with the value), and how to fix it."""

from __future__ import annotations


class CurateError(Exception):
    """The root of the tree: `place` is file, row or field; `fix` is what to do about it."""

    def __init__(self, fault: str, place: str = "", fix: str = "") -> None:
        super().__init__(fault, place, fix)
        self.fault, self.place, self.fix = fault, place, fix

    @property
    def message(self) -> str:
        """Fault and fix, each a sentence where there are both."""
        stop = "" if not self.fix or self.fault.endswith((".", "!", "?")) else "."
        return f"{self.fault}{stop} {self.fix}".rstrip()

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class RecipeError(CurateError):
    """The recipe is refused before any work starts."""


class InputError(CurateError):
    """An input as a whole cannot be read: absent, empty, or not what its reader takes."""


class FileError(InputError):
    """One file of a source is broken: it is quarantined whole, and the others are read."""


class RowError(CurateError):
    """One input cannot become, or stay, a record: it is quarantined with this error."""


class MediaError(RowError):
    """An image cannot be opened: absent, truncated, not an image."""


class LimitError(MediaError):
    """A media file is over one of the limits in `media:`."""


class StepError(CurateError):
    """A step broke its contract: wrong length, null verdict, unknown column."""


class StorageError(CurateError):
    """Reading or writing a file failed for a reason outside the data: disk full, no permission."""


class ManifestError(CurateError):
    """A manifest and the files it names do not agree."""


class BudgetError(CurateError):
    """More inputs were quarantined than `max_quarantined` allows."""


class WorkerError(CurateError):
    """A worker process died more often than the engine retries."""
