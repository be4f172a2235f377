"""Finds replies that begin with a refusal."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml

from recaption.checks.folded import folded

PHRASES = Path(__file__).with_suffix(".yaml")
"""The file of the phrases with which refusals begin: regular expressions, by language."""
_BEGIN = 400
"""This many characters at the start of a reply are compared with the phrases (our choice)."""


def refuses(text: str) -> bool:
    """Returns whether a reply begins with a refusal."""
    return _refusals().match(folded(text[:_BEGIN])) is not None


@lru_cache(maxsize=1)
def _refusals() -> re.Pattern[str]:
    phrases = yaml.safe_load(PHRASES.read_text("utf-8")).values()
    return re.compile("|".join(folded(phrase) for ones in phrases for phrase in ones))
