"""Collects the ranges of rows that cannot be read, while the other rows of the file are read."""

from __future__ import annotations

from manifests.errors import FileError

_SHOWN = 5
"""The maximum number of ranges of lost rows in a message (our choice)."""


class LostRows:
    """Collects ranges of rows that cannot be read, and the error of the first range."""

    def __init__(self) -> None:
        self._ranges: list[str] = []
        self._error: FileError | None = None

    def add(self, start: int, stop: int, error: FileError) -> None:
        """Adds the rows from `start` to `stop` (exclusive), which cannot be read because of
        `error`."""
        self._ranges.append(f"{start} to {stop - 1}")
        self._error = self._error or error

    def check(self) -> None:
        """Raises FileError if rows were added. The error lists the ranges of the lost rows."""
        if self._error is None:
            return
        more = len(self._ranges) - _SHOWN
        shown = ", ".join(self._ranges[:_SHOWN]) + (f" and {more} more ranges" if more > 0 else "")
        fault = f"rows {shown} cannot be read: {self._error.fault}"
        raise FileError(fault, self._error.place, self._error.fix)
