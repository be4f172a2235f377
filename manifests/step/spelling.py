"""Suggestions for a name that a user misspelt."""

from __future__ import annotations

import difflib


def nearest(name: str, known: list[str]) -> str:
    """Returns a sentence that suggests the known name closest to `name`. If no known name is close,
    the sentence lists all known names, or says that there is none.

    `nearest("treshold", ["threshold", "keep"]) -> "Did you mean 'threshold'?"`
    """
    if not known:
        return "There is none."
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return (
        f"Did you mean '{close[0]}'?"
        if close
        else f"The known names are: {', '.join(sorted(known))}."
    )
