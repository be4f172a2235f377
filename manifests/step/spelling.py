"""The nearest correct spelling of what a user wrote."""

from __future__ import annotations

import difflib


def nearest(name: str, known: list[str]) -> str:
    """The closest correct spelling, or all of them."""
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(sorted(known))}."
