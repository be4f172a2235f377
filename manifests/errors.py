"""Every error a user can meet: where, what is wrong (with the value), and how to mend it."""

from __future__ import annotations


class CurateError(Exception):
    """The root of the tree: `place` is file, row or field; `mend` is what to do about it."""

    def __init__(self, fault: str, place: str = "", mend: str = "") -> None:
        super().__init__(fault, place, mend)
        self.fault, self.place, self.mend = fault, place, mend

    @property
    def told(self) -> str:
        """Fault and mend, each a sentence where there are both."""
        stop = "" if not self.mend or self.fault.endswith((".", "!", "?")) else "."
        return f"{self.fault}{stop} {self.mend}".rstrip()

    def __str__(self) -> str:
        return f"{self.place}: {self.told}" if self.place else self.told


class RecipeError(CurateError):
    """The recipe is refused before any work starts."""


class InputError(CurateError):
    """An input as a whole cannot be read: absent, empty, or not what its reader takes."""


class FileError(InputError):
    """One file of a source is broken: it is quarantined whole, and the others are read."""


class RowError(CurateError):
    """One input cannot become, or stay, a record: it is quarantined with this error."""


class MediaError(RowError):
    """A picture cannot be opened: absent, truncated, not a picture."""


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
